//! Bilinear resizing without anti-aliasing, with `align_corners = false` unless said otherwise. It is a product with two
//! fixed matrices, so it is linear and differentiable on every backend.

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// Resizes `[batch, channels, h, w]` to `[batch, channels, height, width]`.
pub fn bilinear<B: Backend>(image: Tensor<B, 4>, height: usize, width: usize) -> Tensor<B, 4> {
    resize(image, height, width, |i, ratio| ((i + 0.5) * ratio - 0.5).max(0.0))
}

/// Resizes in TensorFlow 1's way, in which a pixel is the corner of its square: output `i` reads at `i from / to`.
pub fn bilinear_from_corner<B: Backend>(image: Tensor<B, 4>, height: usize, width: usize) -> Tensor<B, 4> {
    resize(image, height, width, |i, ratio| i * ratio)
}

fn resize<B: Backend>(
    mut image: Tensor<B, 4>,
    height: usize,
    width: usize,
    source: impl Fn(f64, f64) -> f64,
) -> Tensor<B, 4> {
    let [_, _, h, w] = image.dims();
    let device = image.device();
    if h != height {
        image = weights(h, height, &source, &device).matmul(image);
    }
    if w != width {
        image = image.matmul(weights(w, width, &source, &device).swap_dims(2, 3));
    }
    image
}

/// The matrix `[1, 1, to, from]` of a resize. Row `i` interpolates at `source(i, from / to)`, clamped at the far edge.
fn weights<B: Backend>(from: usize, to: usize, source: impl Fn(f64, f64) -> f64, device: &B::Device) -> Tensor<B, 4> {
    let mut matrix = vec![0f32; to * from];
    for i in 0..to {
        let source = source(i as f64, from as f64 / to as f64);
        let low = (source as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let fraction = (source - low as f64) as f32;
        matrix[i * from + low] += 1.0 - fraction;
        matrix[i * from + high] += fraction;
    }
    Tensor::from_data(TensorData::new(matrix, [1, 1, to, from]), device)
}
