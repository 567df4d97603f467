//! DCP-GAN's scores (`baselines.md` section 7): channels whose gradient changes most over directions in w stay.

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

/// How far w moves along a component.
pub const ALPHA: f32 = 5.0;
/// Components drawn for each batch.
pub const DIRECTIONS: usize = 10;
/// Latents in a batch.
pub const BATCH: usize = 5;
/// Latents behind the components.
pub const PCA_SAMPLES: usize = 10_000;

/// Principal axes of w, the largest variance first.
#[derive(Debug, Clone)]
pub struct Components {
    /// Unit vectors `[w_dim][w_dim]`.
    pub axes: Vec<Vec<f32>>,
    /// Each one's share of the variance; the sum is 1.
    pub share: Vec<f64>,
}

impl Components {
    /// Of `w`, `samples` rows of `w_dim` numbers.
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

    /// One component, drawn by its share of the variance.
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

/// What the gradient of a score runs through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Both images: the published code.
    Both,
    /// The unmoved image; the moved one is a constant: the published text.
    One,
}

/// The mean size of `d sum |G(w + alpha direction) - G(w)| / dW` of every feature map's reader, by input channel. `w` is
/// `[batch, w_dim]`, `direction` `[w_dim]`.
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

/// Adds the scores of one batch: `sum over directions of (g - mean over directions of g)^2`, channel by channel.
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
