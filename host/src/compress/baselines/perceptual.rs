//! The perceptual distance P between two images (`baselines.md` section 2).
//!
//! The references take LPIPS, whose weights are not to be had here. In its place stands the mean squared difference of
//! unit-normalised feature maps of the run's own embedder, without learned channel weights: in [0, 4].

use burn::tensor::{Tensor, backend::Backend};

use crate::embed::Embedder;

/// Weight of P in every baseline's generator loss.
pub const WEIGHT: f32 = 3.0;

/// Keeps a pixel whose channels are all 0 from a division by 0; it is then 0 and has a gradient of 0.
const EPSILON: f32 = 1e-10;

/// `mean over pixels of sum_c weights[c] (unit(a) - unit(b))^2` of two feature maps `[batch, channels, height, width]`:
/// one number an image, `[batch]`. Every pixel is brought to norm 1 along its channels first. `weights` `[channels]` are
/// LPIPS's learned ones; without them every channel counts 1.
pub fn map_distance<B: Backend>(a: Tensor<B, 4>, b: Tensor<B, 4>, weights: Option<Tensor<B, 1>>) -> Tensor<B, 1> {
    let [batch, channels, height, width] = a.dims();
    let square = (unit(a) - unit(b)).powi_scalar(2);
    let square = match weights {
        Some(weights) => square * weights.reshape([1, channels, 1, 1]),
        None => square,
    };
    square.reshape([batch, channels * height * width]).sum_dim(1).reshape([batch]).div_scalar((height * width) as f32)
}

/// P of every image and map, `[batch, maps]`, for images `[batch, 3, height, width]` in [-1, 1].
pub fn distances<B: Backend>(embedder: &Embedder<B>, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, ..] = a.dims();
    let maps = embedder.maps(a).into_iter().zip(embedder.maps(b));
    let each = maps.map(|(a, b)| map_distance(a, b, None).reshape([batch, 1])).collect();
    Tensor::cat(each, 1)
}

/// P: the mean over images and maps, `[1]`.
pub fn distance<B: Backend>(embedder: &Embedder<B>, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 1> {
    distances(embedder, a, b).mean()
}

/// Every pixel of `[batch, channels, height, width]` at norm 1 along its channels; a pixel of zeros stays 0.
fn unit<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    // Inside the root, the square of epsilon keeps the gradient of a pixel of zeros finite.
    let norm = x.clone().powi_scalar(2).sum_dim(1).add_scalar(EPSILON * EPSILON).sqrt();
    x / norm.add_scalar(EPSILON)
}
