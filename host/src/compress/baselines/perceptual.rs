//! The perceptual distance P between two images (`docs/baselines.md` section 2).
//!
//! The references use LPIPS, whose weights this project does not have. This is the mean squared difference of
//! unit-normalised feature maps of the run's own embedder instead, without learned channel weights. It is in [0, 4].

use burn::tensor::{Tensor, backend::Backend};

use crate::embed::Embedder;

/// Weight of P in every baseline's generator loss.
pub const WEIGHT: f32 = 3.0;

/// Avoids a division by 0 for a pixel whose channels are all 0. The normalised pixel is then 0, with a gradient of 0.
const EPSILON: f32 = 1e-10;

/// `mean over pixels of sum_c weights[c] (unit(a) - unit(b))^2` of two feature maps `[batch, channels, height, width]`;
/// the result is `[batch]`, one number for each image. Every pixel is first scaled to norm 1 along its channels.
/// `weights` `[channels]` are LPIPS's learned ones; without them every channel has weight 1.
pub fn map_distance<B: Backend>(a: Tensor<B, 4>, b: Tensor<B, 4>, weights: Option<Tensor<B, 1>>) -> Tensor<B, 1> {
    let [batch, channels, height, width] = a.dims();
    let square = (unit(a) - unit(b)).powi_scalar(2);
    let square = match weights {
        Some(weights) => square * weights.reshape([1, channels, 1, 1]),
        None => square,
    };
    square.reshape([batch, channels * height * width]).sum_dim(1).reshape([batch]).div_scalar((height * width) as f32)
}

/// The distance P for every image and map, `[batch, maps]`, of images `[batch, 3, height, width]` in [-1, 1].
pub fn distances<B: Backend>(embedder: &Embedder<B>, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, ..] = a.dims();
    let maps = embedder.maps(a).into_iter().zip(embedder.maps(b));
    let each = maps.map(|(a, b)| map_distance(a, b, None).reshape([batch, 1])).collect();
    Tensor::cat(each, 1)
}

/// The distance P averaged over images and maps, `[1]`.
pub fn distance<B: Backend>(embedder: &Embedder<B>, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 1> {
    distances(embedder, a, b).mean()
}

/// Scales every pixel of `[batch, channels, height, width]` to norm 1 along its channels; a pixel of zeros stays 0.
fn unit<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    // Added under the root, epsilon squared keeps the gradient of a pixel of zeros finite.
    let norm = x.clone().powi_scalar(2).sum_dim(1).add_scalar(EPSILON * EPSILON).sqrt();
    x / norm.add_scalar(EPSILON)
}
