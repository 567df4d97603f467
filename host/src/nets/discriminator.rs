//! The residual discriminator.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use nickeldime_checkpoint::model::arch::{DiscriminatorArch, block_resolution};

use super::{
    dual::Dual,
    ops::{Activation, FullyConnected, bias_act, correlate, fir, parameter, reciprocal},
    tap::{NoTap, Tap, Within},
};

/// The gain of both branches of a residual block, so that their sum keeps its variance.
const BRANCH: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// A plain convolution with equalised learning rate, bias and leaky ReLU.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[out, in, k, k]`.
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Param<Tensor<B, 1>>,
}

fn equalised<B: Backend>(weight: &Param<Tensor<B, 4>>, factor: f32) -> Tensor<B, 4> {
    let [_, inputs, kh, kw] = weight.dims();
    weight.val().mul_scalar(factor / ((inputs * kh * kw) as f32).sqrt())
}

impl<B: Backend> Conv<B> {
    fn new(inputs: usize, outputs: usize, kernel: usize, device: &B::Device) -> Self {
        Self { weight: parameter([outputs, inputs, kernel, kernel], device), bias: parameter([outputs], device) }
    }

    fn forward(&self, x: Dual<B, 4>, down: bool, gain: f32, clamp: Option<f32>) -> Dual<B, 4> {
        let weight = equalised(&self.weight, 1.0);
        let [_, _, kernel, _] = weight.dims();
        let x = if down {
            x.linear(|t| correlate(fir(t, 1, (2, 2), 1.0), weight.clone(), 2, 0))
        } else {
            x.linear(|t| correlate(t, weight.clone(), 1, kernel / 2))
        };
        bias_act(x, self.bias.val(), None, gain, clamp)
    }
}

/// A 1x1 convolution without bias.
#[derive(Module, Debug)]
pub struct Skip<B: Backend> {
    /// `[out, in, 1, 1]`.
    pub weight: Param<Tensor<B, 4>>,
}

/// One resolution of the discriminator; halves it.
#[derive(Module, Debug)]
pub struct DiscriminatorBlock<B: Backend> {
    /// The 1x1 convolution from three colours; the block of the input resolution only.
    pub fromrgb: Option<Conv<B>>,
    /// 3x3, same channels.
    pub conv0: Conv<B>,
    /// 3x3, halves the resolution.
    pub conv1: Conv<B>,
    /// 1x1, halves the resolution.
    pub skip: Skip<B>,
}

impl<B: Backend> DiscriminatorBlock<B> {
    fn forward(&self, x: Dual<B, 4>, clamp: Option<f32>, tap: &mut impl Tap<B>) -> Dual<B, 4> {
        let x = match &self.fromrgb {
            Some(fromrgb) => {
                let x = fromrgb.forward(x, false, 1.0, clamp);
                tap.see("fromrgb.out", &x.primal);
                x
            }
            None => x,
        };
        let weight = equalised(&self.skip.weight, BRANCH);
        let y = x.clone().linear(|t| correlate(fir(t, 2, (1, 1), 1.0), weight.clone(), 1, 0));
        tap.see("skip.out", &y.primal);
        let x = self.conv0.forward(x, false, 1.0, clamp);
        tap.see("conv0.out", &x.primal);
        let x = self.conv1.forward(x, true, BRANCH, clamp);
        tap.see("conv1.out", &x.primal);
        let x = y.sum_with(x);
        tap.see("x", &x.primal);
        x
    }
}

/// The last block: minibatch standard deviation and the fully connected end.
#[derive(Module, Debug)]
pub struct Epilogue<B: Backend> {
    /// 3x3, one input channel more.
    pub conv: Conv<B>,
    /// From the flattened 4x4 map.
    pub fc: FullyConnected<B>,
    /// To the logit.
    pub out: FullyConnected<B>,
    /// Samples that share one standard deviation.
    pub group: usize,
}

impl<B: Backend> Epilogue<B> {
    fn forward(&self, x: Dual<B, 4>, clamp: Option<f32>, tap: &mut impl Tap<B>) -> Dual<B, 2> {
        let x = minibatch_deviation(x, self.group);
        tap.see("mbstd.out", &x.primal);
        let x = self.conv.forward(x, false, 1.0, clamp);
        tap.see("conv.out", &x.primal);
        let x = x.linear(|t| t.flatten::<2>(1, 3));
        let x = self.fc.forward(x, Activation::LeakyRelu, 1.0);
        tap.see("fc.out", &x.primal);
        self.out.forward(x, Activation::Linear, 1.0)
    }
}

/// Appends one channel: the standard deviation over a group of samples, averaged over channels and pixels.
/// Sample `n` belongs to group `n mod (batch / group)`; a batch smaller than the group is one group.
fn minibatch_deviation<B: Backend>(x: Dual<B, 4>, group: usize) -> Dual<B, 4> {
    let [n, c, h, w] = x.primal.dims();
    let members = group.min(n);
    let groups = n / members;
    let grouped = x.clone().linear(|t| t.reshape([members, groups, c * h * w]));
    let mean = grouped.clone().linear(|t| t.mean_dim(0)).gain(-1.0);
    let deviation = grouped
        .sum_with(mean)
        .function(|d| d.powi_scalar(2), |d| d.mul_scalar(2.0))
        .linear(|t| t.mean_dim(0))
        .shift(Tensor::full([1, 1, 1], 1e-8, &x.primal.device()))
        .function(|v| v.sqrt(), |v| reciprocal(v.sqrt()).mul_scalar(0.5))
        .linear(|t| t.mean_dim(2))
        .linear(|t| t.expand([members, groups, h * w]).reshape([n, 1, h, w]));
    Dual {
        primal: Tensor::cat(vec![x.primal.clone(), deviation.primal], 1),
        tangent: x.tangent.zip(deviation.tangent).map(|(x, d)| Tensor::cat(vec![x, d], 1)),
    }
}

/// A StyleGAN2 discriminator.
#[derive(Module, Debug)]
pub struct Discriminator<B: Backend> {
    /// The blocks in the order of their *input* resolution 8, 16, ...; an image enters at the last.
    pub blocks: Vec<DiscriminatorBlock<B>>,
    /// The block at 4x4.
    pub b4: Epilogue<B>,
    /// `conv_clamp`.
    pub clamp: Option<f32>,
}

impl<B: Backend> Discriminator<B> {
    /// A discriminator of zeros, to be filled by [`super::names::load`].
    pub fn new(arch: &DiscriminatorArch, device: &B::Device) -> Self {
        let channels = &arch.channels;
        let last = channels.len() - 1;
        let blocks = (1..channels.len())
            .map(|i| DiscriminatorBlock {
                fromrgb: (i == last).then(|| Conv::new(3, channels[i], 1, device)),
                conv0: Conv::new(channels[i], channels[i], 3, device),
                conv1: Conv::new(channels[i], channels[i - 1], 3, device),
                skip: Skip { weight: parameter([channels[i - 1], channels[i], 1, 1], device) },
            })
            .collect();
        Self {
            blocks,
            b4: Epilogue {
                conv: Conv::new(channels[0] + 1, channels[0], 3, device),
                fc: FullyConnected::new(16 * channels[0], channels[0], device),
                out: FullyConnected::new(channels[0], 1, device),
                group: arch.mbstd_group,
            },
            clamp: arch.conv_clamp,
        }
    }

    /// Images `[batch, 3, resolution, resolution]` to logits `[batch, 1]`. The batch is a multiple of the
    /// minibatch-deviation group, or smaller than it.
    pub fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 2> {
        self.forward_tapped(image.into(), &mut NoTap).primal
    }

    /// [`Discriminator::forward`] on dual numbers, with a look at the intermediates.
    pub fn forward_tapped(&self, image: Dual<B, 4>, tap: &mut impl Tap<B>) -> Dual<B, 2> {
        let x = self.descend(image, 4, tap);
        self.b4.forward(x, self.clamp, &mut Within::new("b4", tap))
    }

    /// The feature map at `resolution`: the output of the block that halves to it.
    pub fn features(&self, image: Tensor<B, 4>, resolution: usize) -> Tensor<B, 4> {
        self.descend(image.into(), resolution, &mut NoTap).primal
    }

    fn descend(&self, image: Dual<B, 4>, resolution: usize, tap: &mut impl Tap<B>) -> Dual<B, 4> {
        let mut x = image;
        for (i, block) in self.blocks.iter().enumerate().rev() {
            if block_resolution(i) < resolution {
                break;
            }
            let mut tap = Within::new(format!("b{}", block_resolution(i + 1)), tap);
            x = block.forward(x, self.clamp, &mut tap);
        }
        x
    }
}
