//! The discriminator: residual, with skips from the image, or plain.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use nickeldime_checkpoint::model::arch::{CriticArchitecture, DeviationGroup, DiscriminatorArch, block_resolution};

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
    /// The weight, `[out, in, k, k]`.
    pub weight: Param<Tensor<B, 4>>,
    /// The bias, `[out]`.
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
    /// The weight, `[out, in, 1, 1]`.
    pub weight: Param<Tensor<B, 4>>,
}

/// The block of one resolution, which halves it.
#[derive(Module, Debug)]
pub struct DiscriminatorBlock<B: Backend> {
    /// The 1x1 convolution from the image: in the block of the input resolution, and with skips in every block.
    pub fromrgb: Option<Conv<B>>,
    /// The first 3x3 convolution, which keeps the number of channels.
    pub conv0: Conv<B>,
    /// The second 3x3 convolution, which halves the resolution.
    pub conv1: Conv<B>,
    /// The 1x1 convolution of the shortcut, which halves the resolution. Only residual discriminators have it.
    pub skip: Option<Skip<B>>,
}

impl<B: Backend> DiscriminatorBlock<B> {
    /// Runs the block. `image` has the block's resolution; `x` holds the features of the block before, which the first
    /// block does not get.
    fn forward(
        &self,
        x: Option<Dual<B, 4>>,
        image: &Dual<B, 4>,
        clamp: Option<f32>,
        tap: &mut impl Tap<B>,
    ) -> Dual<B, 4> {
        let x = seen(self.fromrgb.as_ref(), x, image, clamp, tap);
        let side = self.skip.as_ref().map(|skip| {
            let weight = equalised(&skip.weight, BRANCH);
            let side = x.clone().linear(|t| correlate(halved(t), weight.clone(), 1, 0));
            tap.see("skip.out", &side.primal);
            side
        });
        let gain = if side.is_some() { BRANCH } else { 1.0 };
        let x = self.conv0.forward(x, false, 1.0, clamp);
        tap.see("conv0.out", &x.primal);
        let x = self.conv1.forward(x, true, gain, clamp);
        tap.see("conv1.out", &x.primal);
        let x = match side {
            Some(side) => side.sum_with(x),
            None => x,
        };
        tap.see("x", &x.primal);
        x
    }
}

/// Filters an image and halves its resolution.
fn halved<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    fir(x, 2, (1, 1), 1.0)
}

/// The features that enter a block: those of the block above, those that it takes from the image, or their sum.
fn seen<B: Backend>(
    fromrgb: Option<&Conv<B>>,
    x: Option<Dual<B, 4>>,
    image: &Dual<B, 4>,
    clamp: Option<f32>,
    tap: &mut impl Tap<B>,
) -> Dual<B, 4> {
    let own = fromrgb.map(|fromrgb| {
        let own = fromrgb.forward(image.clone(), false, 1.0, clamp);
        tap.see("fromrgb.out", &own.primal);
        own
    });
    match (x, own) {
        (Some(x), Some(own)) => x.sum_with(own),
        (Some(x), None) | (None, Some(x)) => x,
        // `Discriminator::new` gives the first block a fromRGB layer.
        (None, None) => unreachable!("the first block sees the image"),
    }
}

/// The last block: minibatch standard deviation, a convolution and fully connected layers.
#[derive(Module, Debug)]
pub struct Epilogue<B: Backend> {
    /// The 1x1 convolution from the image, without a limit; discriminators with skips only.
    pub fromrgb: Option<Conv<B>>,
    /// The 3x3 convolution. It has one more input channel if there is a minibatch standard deviation.
    pub conv: Conv<B>,
    /// The fully connected layer that reads the flattened 4x4 map.
    pub fc: FullyConnected<B>,
    /// The fully connected layer that gives the logit.
    pub out: FullyConnected<B>,
    /// The samples that share one standard deviation.
    #[module(skip)]
    pub group: DeviationGroup,
}

impl<B: Backend> Epilogue<B> {
    fn forward(&self, x: Dual<B, 4>, image: &Dual<B, 4>, clamp: Option<f32>, tap: &mut impl Tap<B>) -> Dual<B, 2> {
        let x = seen(self.fromrgb.as_ref(), Some(x), image, None, tap);
        let [batch, ..] = x.primal.dims();
        let members = match self.group {
            DeviationGroup::Absent => None,
            DeviationGroup::Batch => Some(batch),
            DeviationGroup::Samples(samples) => Some(samples.min(batch)),
        };
        let x = match members {
            Some(members) => {
                let x = minibatch_deviation(x, members);
                tap.see("mbstd.out", &x.primal);
                x
            }
            None => x,
        };
        let x = self.conv.forward(x, false, 1.0, clamp);
        tap.see("conv.out", &x.primal);
        let x = x.linear(|t| t.flatten::<2>(1, 3));
        let x = self.fc.forward(x, Activation::LeakyRelu, 1.0);
        tap.see("fc.out", &x.primal);
        self.out.forward(x, Activation::Linear, 1.0)
    }
}

/// Appends one channel: the standard deviation over a group of `members` samples, averaged over channels and pixels.
/// Sample `n` belongs to group `n mod (batch / members)`.
fn minibatch_deviation<B: Backend>(x: Dual<B, 4>, members: usize) -> Dual<B, 4> {
    let [n, c, h, w] = x.primal.dims();
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
    /// The clamp of activations, `conv_clamp`.
    pub clamp: Option<f32>,
}

impl<B: Backend> Discriminator<B> {
    /// A discriminator whose parameters are 0, to be filled by [`super::names::load`].
    pub fn new(arch: &DiscriminatorArch, device: &B::Device) -> Self {
        let channels = &arch.channels;
        let residual = arch.architecture == CriticArchitecture::Resnet;
        let fromrgb =
            |i| arch.has_fromrgb(block_resolution(i)).then(|| Conv::new(arch.img_channels, channels[i], 1, device));
        let blocks = (1..channels.len())
            .map(|i| DiscriminatorBlock {
                fromrgb: fromrgb(i),
                conv0: Conv::new(channels[i], channels[i], 3, device),
                conv1: Conv::new(channels[i], channels[i - 1], 3, device),
                skip: residual.then(|| Skip { weight: parameter([channels[i - 1], channels[i], 1, 1], device) }),
            })
            .collect();
        Self {
            blocks,
            b4: Epilogue {
                fromrgb: fromrgb(0),
                conv: Conv::new(channels[0] + arch.mbstd_group.channels(), channels[0], 3, device),
                fc: FullyConnected::new(16 * channels[0], channels[0], device),
                out: FullyConnected::new(channels[0], 1, device),
                group: arch.mbstd_group,
            },
            clamp: arch.conv_clamp,
        }
    }

    /// Channels of the image.
    pub fn img_channels(&self) -> usize {
        let first = self.blocks.last().and_then(|block| block.fromrgb.as_ref());
        first.map_or(0, |fromrgb| fromrgb.weight.dims()[1])
    }

    /// Images `[batch, img_channels, resolution, resolution]` to logits `[batch, 1]`. The batch is a multiple of the
    /// minibatch-deviation group, or smaller than it.
    pub fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 2> {
        self.forward_tapped(image.into(), &mut NoTap).primal
    }

    /// [`Discriminator::forward`] on dual numbers; `tap` sees the intermediate values.
    pub fn forward_tapped(&self, image: Dual<B, 4>, tap: &mut impl Tap<B>) -> Dual<B, 2> {
        let (x, image) = self.descend(image, 4, tap);
        self.b4.forward(x, &image, self.clamp, &mut Within::new("b4", tap))
    }

    /// The feature map at `resolution`: the output of the block that halves to it.
    pub fn features(&self, image: Tensor<B, 4>, resolution: usize) -> Tensor<B, 4> {
        self.descend(image.into(), resolution, &mut NoTap).0.primal
    }

    /// The features at `resolution`, and the image as the block there sees it.
    fn descend(&self, image: Dual<B, 4>, resolution: usize, tap: &mut impl Tap<B>) -> (Dual<B, 4>, Dual<B, 4>) {
        let mut image = image;
        let mut x = None;
        for (i, block) in self.blocks.iter().enumerate().rev() {
            if block_resolution(i) < resolution {
                break;
            }
            let mut tap = Within::new(format!("b{}", block_resolution(i + 1)), tap);
            x = Some(block.forward(x, &image, self.clamp, &mut tap));
            if self.b4.fromrgb.is_some() {
                image = image.linear(halved);
            }
        }
        // `resolution` is below the image's: features of the image itself are not asked for.
        (x.unwrap_or_else(|| image.clone()), image)
    }
}
