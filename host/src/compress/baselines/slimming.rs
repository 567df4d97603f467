//! GAN Slimming on StyleGAN2 (`baselines.md` section 3): styles as the channels' scales, pressed towards 0 while the dense
//! student trains, and read as scores when it is pruned.

use burn::tensor::{Tensor, backend::Backend};

use crate::{compress::prune::Scores, nets::generator::Generator};

/// Weight of the penalty in the sparse stage.
pub const PENALTY_WEIGHT: f32 = 1e-5;

/// `sum_c |mean over the batch of style_c|` of every layer of `ws` `[batch, num_ws, w_dim]`, each `[1]`, in the order
/// b4.conv1, b4.torgb, b8.conv0, b8.conv1, b8.torgb, ...
pub fn penalties<B: Backend>(generator: &Generator<B>, ws: Tensor<B, 3>) -> Vec<Tensor<B, 1>> {
    let styles = generator.layer_styles(ws);
    styles.into_iter().map(|styles| styles.mean_dim(0).abs().sum()).collect()
}

/// The penalty of the sparse stage before its weight: the sum of all layers', `[1]`.
pub fn penalty<B: Backend>(generator: &Generator<B>, ws: Tensor<B, 3>) -> Tensor<B, 1> {
    Tensor::cat(penalties(generator, ws), 0).sum()
}

/// How a channel's styles become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// `|mean over samples of style|`: what the penalty presses on.
    AbsoluteMean,
    /// `mean over samples of |style|`.
    MeanAbsolute,
}

/// The scores of every feature map from the styles of its reader, for `ws` `[samples, num_ws, w_dim]`: map l is read by
/// convolution l, and the last map by the last toRGB.
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

/// The original's proximal step of a scale, in place of the penalty: gradient descent with momentum, then
/// `sign(gamma) max(|gamma| - rho lr, 0)`.
#[derive(Debug, Clone, Copy)]
pub struct Proximal {
    /// Learning rate.
    pub lr: f32,
    /// Share of the last step's direction that is kept.
    pub momentum: f32,
    /// Weight of the sparsity.
    pub rho: f32,
}

impl Proximal {
    /// One step of `gamma` down `gradient`; `velocity` is the last step's direction, nothing before the first.
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

/// The original's perceptual loss over pairs of feature maps `[batch, channels, height, width]`: content (the mean
/// difference of the second maps) and style (the mean squared difference of Gram matrices, summed over maps). The loss is
/// `content + 1e5 style`; on this project's embedders the weight does not carry over, so the methods take
/// [`super::perceptual::distance`].
pub fn gram_terms<B: Backend>(student: &[Tensor<B, 4>], teacher: &[Tensor<B, 4>]) -> [Tensor<B, 1>; 2] {
    let content = (student[0].clone() - teacher[0].clone()).abs().mean();
    let each = student.iter().zip(teacher).map(|(s, t)| (gram(s) - gram(t)).powi_scalar(2).mean());
    [content, Tensor::cat(each.collect(), 0).sum()]
}

/// `F F^T / (channels height width)`, `[batch, channels, channels]`.
fn gram<B: Backend>(map: &Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = map.dims();
    let flat = map.clone().reshape([batch, channels, height * width]);
    flat.clone().matmul(flat.swap_dims(1, 2)).div_scalar((channels * height * width) as f32)
}
