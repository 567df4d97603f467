//! Bilinear resizing (`align_corners = false`, no anti-aliasing) as two products with fixed matrices: linear, and
//! differentiable on every backend.

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// Resizes `[batch, channels, h, w]` to `[batch, channels, height, width]`.
pub fn bilinear<B: Backend>(image: Tensor<B, 4>, height: usize, width: usize) -> Tensor<B, 4> {
    let [_, _, h, w] = image.dims();
    let device = image.device();
    let mut image = image;
    if h != height {
        image = weights(h, height, &device).matmul(image);
    }
    if w != width {
        image = image.matmul(weights(w, width, &device).swap_dims(2, 3));
    }
    image
}

/// `[1, 1, to, from]`: row `i` interpolates at `max(0, (i + 0.5) from / to - 0.5)`, clamped at the far edge.
fn weights<B: Backend>(from: usize, to: usize, device: &B::Device) -> Tensor<B, 4> {
    let mut matrix = vec![0f32; to * from];
    for i in 0..to {
        let source = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let low = (source as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let fraction = (source - low as f64) as f32;
        matrix[i * from + low] += 1.0 - fraction;
        matrix[i * from + high] += fraction;
    }
    Tensor::from_data(TensorData::new(matrix, [1, 1, to, from]), device)
}
