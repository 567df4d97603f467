//! GAN Slimming on StyleGAN2 (`docs/baselines.md` section 3). Styles act as the channels' scales. A penalty pushes them
//! towards 0 while the dense student trains, and they are the scores when it is pruned.

use burn::tensor::{Tensor, backend::Backend};

use crate::{compress::prune::Scores, nets::generator::Generator};

/// Weight of the penalty in the sparse stage.
pub const PENALTY_WEIGHT: f32 = 1e-5;

/// The penalties `sum_c |mean over the batch of style_c|` of every layer, for `ws` `[batch, num_ws, w_dim]`; each is
/// `[1]`, in the order
/// b4.conv1, b4.torgb, b8.conv0, b8.conv1, b8.torgb, ...
pub fn penalties<B: Backend>(generator: &Generator<B>, ws: Tensor<B, 3>) -> Vec<Tensor<B, 1>> {
    let styles = generator.layer_styles(ws);
    styles.into_iter().map(|styles| styles.mean_dim(0).abs().sum()).collect()
}

/// The penalty of the sparse stage without its weight: the sum over all layers, `[1]`.
pub fn penalty<B: Backend>(generator: &Generator<B>, ws: Tensor<B, 3>) -> Tensor<B, 1> {
    Tensor::cat(penalties(generator, ws), 0).sum()
}

/// The way in which a channel's styles become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// `|mean over samples of style|`, which the penalty reduces.
    AbsoluteMean,
    /// `mean over samples of |style|`.
    MeanAbsolute,
}

/// The scores of every feature map from the styles of the layer that reads it, for `ws` `[samples, num_ws, w_dim]`. Map
/// l is read by convolution l, and the last map by the last toRGB.
pub fn scores<B: Backend>(generator: &Generator<B>, ws: Tensor<B, 3>, reading: Reading) -> Scores {
    let styles = generator.layer_styles(ws);
    let layers = styles.len();
    // In every block the toRGB comes last; b4 has one convolution and the others have two.
    let reads = |index: usize| index + 1 == layers || index % 3 != 1;
    let readers = styles.into_iter().enumerate().filter(|&(index, _)| reads(index));
    readers
        .map(|(_, styles)| {
            let score = match reading {
                Reading::AbsoluteMean => styles.mean_dim(0).abs(),
                Reading::MeanAbsolute => styles.abs().mean_dim(0),
            };
            score.into_data().iter::<f32>().collect()
        })
        .collect()
}

/// The original's proximal step of a scale, which replaces the penalty: gradient descent with momentum, then
/// `sign(gamma) max(|gamma| - rho lr, 0)`.
#[derive(Debug, Clone, Copy)]
pub struct Proximal {
    /// Learning rate.
    pub lr: f32,
    /// Momentum: the share of the last step's direction that is kept.
    pub momentum: f32,
    /// Weight of the sparsity penalty.
    pub rho: f32,
}

impl Proximal {
    /// Moves `gamma` one step down `gradient`. `velocity` is the last step's direction; it is empty before the first
    /// step.
    pub fn step(&self, gamma: &mut [f32], gradient: &[f32], velocity: &mut Vec<f32>) {
        if velocity.is_empty() {
            velocity.extend(gradient);
        } else {
            velocity.iter_mut().zip(gradient).for_each(|(v, g)| *v = self.momentum * *v + g);
        }
        let threshold = self.rho * self.lr;
        for (gamma, v) in gamma.iter_mut().zip(velocity) {
            let moved = *gamma - self.lr * *v;
            *gamma = moved.signum() * (moved.abs() - threshold).max(0.0);
        }
    }
}

/// The original's perceptual loss over pairs of feature maps `[batch, channels, height, width]`, as two terms: content
/// (the mean difference of the second maps) and style (the mean squared difference of Gram matrices, summed over maps).
/// The original's loss is `content + 1e5 style`. That weight does not fit this project's embedders, so the methods use
/// [`super::perceptual::distance`].
pub fn gram_terms<B: Backend>(student: &[Tensor<B, 4>], teacher: &[Tensor<B, 4>]) -> [Tensor<B, 1>; 2] {
    let content = (student[0].clone() - teacher[0].clone()).abs().mean();
    let each = student.iter().zip(teacher).map(|(s, t)| (gram(s) - gram(t)).powi_scalar(2).mean());
    [content, Tensor::cat(each.collect(), 0).sum()]
}

/// The Gram matrices `F F^T / (channels height width)`, `[batch, channels, channels]`.
fn gram<B: Backend>(map: &Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = map.dims();
    let flat = map.clone().reshape([batch, channels, height * width]);
    flat.clone().matmul(flat.swap_dims(1, 2)).div_scalar((channels * height * width) as f32)
}
