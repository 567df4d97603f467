//! NICKEL's feature matching in the wavelet domain (`method.md` section 4).

use burn::tensor::{Tensor, backend::Backend};

/// Levels of the Haar transform.
pub const LEVELS: usize = 4;
/// Weight of the feature matching in the student critic's loss.
pub const WEIGHT: f32 = 10.0;

/// The resolution at which the student critic's features meet the teacher generator's: a quarter of the image,
/// 16 at least, and at most half of the image.
pub fn matched_resolution(image: usize) -> usize {
    (image / 4).max(16).min(image / 2)
}

/// One level of the Haar transform of `[n, c, h, w]`: the low band `[n, c, h/2, w/2]` and the three high bands
/// `[n, c, 3, h/2, w/2]` (high along height, along width, along both). Odd sizes are extended by one zero row
/// or column at the end.
pub fn haar<B: Backend>(x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 5>) {
    let [n, c, h, w] = x.dims();
    let x = if h % 2 + w % 2 > 0 { x.pad((0, w % 2, 0, h % 2), 0.0f32) } else { x };
    let (h, w) = (h.div_ceil(2), w.div_ceil(2));
    let cells = x.reshape([n, c, h, 2, w, 2]);
    let corner = |y: usize, x: usize| {
        let cell = cells.clone().narrow(3, y, 1).narrow(5, x, 1);
        cell.reshape([n, c, h, w]).mul_scalar(0.5)
    };
    let (top_sum, top_difference) = sum_and_difference(corner(0, 0), corner(0, 1));
    let (bottom_sum, bottom_difference) = sum_and_difference(corner(1, 0), corner(1, 1));
    let (low, along_height) = sum_and_difference(top_sum, bottom_sum);
    let (along_width, along_both) = sum_and_difference(top_difference, bottom_difference);
    (low, Tensor::stack(vec![along_height, along_width, along_both], 2))
}

fn sum_and_difference<B: Backend>(a: Tensor<B, 4>, b: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
    (a.clone() + b.clone(), a - b)
}

/// The mean squared difference of the high bands, level by level. The transform is linear, so it is taken once,
/// of the difference. Their sum is the loss, before its weight.
pub fn level_losses<B: Backend>(teacher: Tensor<B, 4>, student: Tensor<B, 4>) -> [Tensor<B, 1>; LEVELS] {
    let mut low = student - teacher;
    std::array::from_fn(|_| {
        let (next, high) = haar(low.clone());
        low = next;
        high.powi_scalar(2).mean()
    })
}

/// [`level_losses`], summed.
pub fn feature_matching<B: Backend>(teacher: Tensor<B, 4>, student: Tensor<B, 4>) -> Tensor<B, 1> {
    let [a, b, c, d] = level_losses(teacher, student);
    a + b + c + d
}
