//! NICKEL's feature matching in the wavelet domain (`docs/method.md` section 4).

use burn::tensor::{Tensor, backend::Backend};

/// The number of levels of the Haar transform.
pub const LEVELS: usize = 4;
/// The weight of the feature matching in the student critic's loss.
pub const WEIGHT: f32 = 10.0;

/// The resolution at which the features of the student critic and the teacher generator are compared: a quarter of the
/// image size, but at least 16 and at most half of the image size.
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

/// The mean squared difference of the high bands, one value for each level; their sum is the loss without its weight.
/// The transform is linear, so it is applied once, to the difference.
pub fn level_losses<B: Backend>(teacher: Tensor<B, 4>, student: Tensor<B, 4>) -> [Tensor<B, 1>; LEVELS] {
    let mut low = student - teacher;
    std::array::from_fn(|_| {
        let (next, high) = haar(low.clone());
        low = next;
        high.powi_scalar(2).mean()
    })
}

/// The sum of [`level_losses`] over all levels.
pub fn feature_matching<B: Backend>(teacher: Tensor<B, 4>, student: Tensor<B, 4>) -> Tensor<B, 1> {
    let [a, b, c, d] = level_losses(teacher, student);
    a + b + c + d
}
