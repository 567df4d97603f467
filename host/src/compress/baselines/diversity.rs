//! DCP-GAN's scores (`docs/baselines.md` section 7). Channels stay if their gradient differs most between directions in
//! w.

use burn::{
    optim::GradientsParams,
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};
use nalgebra::{DMatrix, SymmetricEigen};
use nickeldime_checkpoint::{model::arch::GeneratorArch, random::Stream};

use crate::{
    compress::prune::{Scores, input_channel_means},
    nets::{
        generator::{Generator, Noise},
        names,
    },
};

/// Distance by which w moves along a component.
pub const ALPHA: f32 = 5.0;
/// Number of components drawn for each batch.
pub const DIRECTIONS: usize = 10;
/// Number of latents in a batch.
pub const BATCH: usize = 5;
/// Number of latents that the components are computed from.
pub const PCA_SAMPLES: usize = 10_000;

/// The principal axes of w, in order of decreasing variance.
#[derive(Debug, Clone)]
pub struct Components {
    /// Unit vectors, `[w_dim][w_dim]`.
    pub axes: Vec<Vec<f32>>,
    /// The share of the variance of each axis; the sum is 1.
    pub share: Vec<f64>,
}

impl Components {
    /// Computes the components of `w`, which has `samples` rows of `w_dim` numbers.
    pub fn of(w: &[f32], w_dim: usize) -> Self {
        let samples = w.len() / w_dim.max(1);
        let rows = DMatrix::from_row_iterator(samples, w_dim, w.iter().map(|&x| f64::from(x)));
        let mean = rows.row_mean();
        let centred = DMatrix::from_fn(samples, w_dim, |r, c| rows[(r, c)] - mean[c]);
        let eigen = SymmetricEigen::new(centred.transpose() * &centred);
        let mut order: Vec<usize> = (0..w_dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let total: f64 = eigen.eigenvalues.iter().map(|v| v.max(0.0)).sum();
        Self {
            axes: order.iter().map(|&i| eigen.eigenvectors.column(i).iter().map(|&x| x as f32).collect()).collect(),
            share: order.iter().map(|&i| eigen.eigenvalues[i].max(0.0) / total.max(f64::MIN_POSITIVE)).collect(),
        }
    }

    /// Draws the index of a component, with its share of the variance as probability.
    pub fn draw(&self, stream: &mut Stream) -> usize {
        let mut left = stream.uniform();
        for (index, share) in self.share.iter().enumerate() {
            left -= share;
            if left < 0.0 {
                return index;
            }
        }
        self.share.len().saturating_sub(1)
    }
}

/// The images that the gradient of a score flows through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Both images, as in the published code.
    Both,
    /// Only the unmoved image, the moved one being a constant, as in the published text.
    One,
}

/// The mean absolute value of `d sum |G(w + alpha direction) - G(w)| / dW`, by input channel, for the weight W that
/// reads each feature map. `w` is `[batch, w_dim]`, `direction` `[w_dim]`.
pub fn sensitivity<A: AutodiffBackend>(
    generator: &Generator<A>,
    arch: &GeneratorArch,
    w: Tensor<A, 2>,
    direction: &[f32],
    alpha: f32,
    through: Through,
) -> Scores {
    let direction = TensorData::new(direction.to_vec(), [1, direction.len()]);
    let moved = w.clone() + Tensor::from_data(direction, &w.device()).mul_scalar(alpha);
    let draw = |w| generator.synthesise(generator.broadcast(w), &Noise::Const);
    let (unmoved, moved) = (draw(w), draw(moved));
    let moved = match through {
        Through::Both => moved,
        Through::One => moved.detach(),
    };
    let loss = (moved - unmoved).abs().sum();
    let grads = GradientsParams::from_grads(loss.backward(), generator);
    input_channel_means(arch, &names::gradients(generator, &grads))
}

/// Adds the scores of one batch: for each channel, `sum over directions of (g - mean over directions of g)^2`.
pub fn add_spread(sensitivities: &[Scores], scores: &mut Scores) {
    let count = sensitivities.len().max(1) as f32;
    for (map, scores) in scores.iter_mut().enumerate() {
        for (channel, score) in scores.iter_mut().enumerate() {
            let values = || sensitivities.iter().filter_map(|s| s.get(map)?.get(channel).copied());
            let mean = values().sum::<f32>() / count;
            *score += values().map(|g| (g - mean).powi(2)).sum::<f32>();
        }
    }
}
