//! The operations that both networks share: equalised layers, resampling, bias and activation.
//!
//! Conventions (gains, pads, order of operations) are those of StyleGAN2-ADA; every function here is linear in
//! its tensor argument, so that [`Dual`] can push a derivative through it.

use burn::{
    module::{Module, Param},
    tensor::{
        Tensor, TensorData,
        backend::Backend,
        module::{conv_transpose2d, conv2d},
        ops::{ConvOptions, ConvTransposeOptions},
    },
};

use super::{
    dual::Dual,
    ops_cpu::{self, BiasAct, Convolution, Fir, Gate, ScaleChannels, Transposed, Window},
};

/// The activation that follows a bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// The identity, gain 1.
    Linear,
    /// Leaky ReLU with slope 0.2 and gain sqrt(2).
    LeakyRelu,
}

impl Activation {
    /// The activation with its own gain and an additional `factor`.
    pub fn apply<B: Backend, const D: usize>(self, x: Dual<B, D>, factor: f32) -> Dual<B, D> {
        match self {
            Self::Linear => x.gain(factor),
            Self::LeakyRelu => x.leaky_relu(std::f32::consts::SQRT_2 * factor),
        }
    }
}

/// A parameter of zeros, to be filled by [`super::names::load`].
pub fn parameter<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// A buffer, which is part of the module and of its files but never trained.
pub fn buffer<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    Param::from_tensor(Tensor::zeros(shape, device)).set_require_grad(false)
}

/// `1 / x`, computed by a division. The reciprocal of burn-ndarray is the processor's estimate, which is right to 12
/// bits only.
pub fn reciprocal<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    x.ones_like() / x
}

/// A fully connected layer with equalised learning rate: `act(x W^T lr_mult / sqrt(in) + b lr_mult)`.
#[derive(Module, Debug)]
pub struct FullyConnected<B: Backend> {
    /// The weight, `[out, in]`.
    pub weight: Param<Tensor<B, 2>>,
    /// The bias, `[out]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> FullyConnected<B> {
    /// A layer whose parameters are 0.
    pub fn new(inputs: usize, outputs: usize, device: &B::Device) -> Self {
        Self { weight: parameter([outputs, inputs], device), bias: parameter([outputs], device) }
    }

    /// Applies the layer: `[batch, in]` to `[batch, out]`.
    pub fn forward(&self, x: Dual<B, 2>, activation: Activation, lr_mult: f32) -> Dual<B, 2> {
        let [_, inputs] = self.weight.dims();
        let gain = lr_mult / (inputs as f32).sqrt();
        let weight = self.weight.val().transpose().mul_scalar(gain);
        let bias = self.bias.val().mul_scalar(lr_mult).unsqueeze();
        let y = x.linear(|t| t.matmul(weight.clone())).shift(bias);
        activation.apply(y, 1.0)
    }
}

/// A convolution's bias `[channels]`, shaped for a feature map.
pub fn channel_bias<B: Backend>(bias: Tensor<B, 1>) -> Tensor<B, 4> {
    let [channels] = bias.dims();
    bias.reshape([1, channels, 1, 1])
}

/// The correlation of a feature map with `weight` `[out, in, k, k]`.
pub fn correlate<B: Backend>(x: Tensor<B, 4>, weight: Tensor<B, 4>, stride: usize, padding: usize) -> Tensor<B, 4> {
    let [_, _, size, _] = weight.dims();
    ops_cpu::apply(Convolution(Window { size, stride, padding }), [x, weight], |[x, weight]| {
        conv2d(x, weight, None, ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1))
    })
}

/// Stride-2 transposed convolution without padding, `[n, in, h, w]` to `[n, out, 2h + 1, 2w + 1]`;
/// `weight` is `[out, in, 3, 3]` as stored.
pub fn transposed<B: Backend>(x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
    let window = Window { size: 3, stride: 2, padding: 0 };
    ops_cpu::apply(Transposed(window), [x, weight.swap_dims(0, 1)], |[x, weight]| {
        conv_transpose2d(x, weight, None, ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1))
    })
}

/// The filter `outer([1,3,3,1], [1,3,3,1]) / 64` times `gain`, channel by channel; `pad` on every side
/// (`(left and top, right and bottom)`), every `down`-th sample kept.
pub fn fir<B: Backend>(x: Tensor<B, 4>, down: usize, (before, after): (usize, usize), gain: f32) -> Tensor<B, 4> {
    let [_, channels, _, size] = x.dims();
    ops_cpu::apply(Fir { up: 1, down, before, after, gain, size }, [x], |[x]| {
        let taps = [1.0f32, 3.0, 3.0, 1.0];
        let filter: Vec<f32> = taps.iter().flat_map(|a| taps.map(|b| a * b * gain / 64.0)).collect();
        let filter = Tensor::<B, 4>::from_data(TensorData::new(filter, [1, 1, 4, 4]), &x.device());
        let (x, padding) = match before == after {
            true => (x, before),
            false => (x.pad((before, after, before, after), 0.0f32), 0),
        };
        let options = ConvOptions::new([down; 2], [padding; 2], [1, 1], channels);
        conv2d(x, filter.expand([channels, 1, 4, 4]), None, options)
    })
}

/// Doubles an image's resolution: puts a zero after every sample, then filters with gain 4.
pub fn upsample<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = image.dims();
    ops_cpu::apply(Fir { up: 2, down: 1, before: 2, after: 1, gain: 4.0, size: w }, [image], |[image]| {
        let zeros = Tensor::zeros([n, c, h, w, 1], &image.device());
        let wide = Tensor::cat(vec![image.reshape([n, c, h, w, 1]), zeros], 4);
        let wide = wide.reshape([n, c, h, 1, 2 * w]);
        let spread = Tensor::cat(vec![wide.clone(), wide.zeros_like()], 3);
        fir(spread.reshape([n, c, 2 * h, 2 * w]), 1, (2, 1), 4.0)
    })
}

/// What follows a convolution: bias `[channels]` and noise (`[batch or 1, 1, h, w]`), leaky ReLU with gain
/// sqrt(2) `factor`, and the clamp to `limit` times `factor`.
pub fn bias_act<B: Backend>(
    x: Dual<B, 4>,
    bias: Tensor<B, 1>,
    noise: Option<Tensor<B, 4>>,
    factor: f32,
    limit: Option<f32>,
) -> Dual<B, 4> {
    let gain = std::f32::consts::SQRT_2 * factor;
    let limit = limit.map(|limit| limit * factor);
    let bias = channel_bias(bias);
    let limits = limit.unwrap_or(f32::INFINITY);
    let composed = |x: Tensor<B, 4>| {
        let y = Dual::from(x).leaky_relu(gain).primal;
        limit.map_or(y.clone(), |limit| y.clamp(-limit, limit))
    };
    let y = match noise {
        None => ops_cpu::apply(BiasAct { gain, limit: limits }, [x.primal, bias], |[x, bias]| composed(x + bias)),
        Some(noise) => {
            let act = BiasAct { gain, limit: limits };
            ops_cpu::apply(act, [x.primal, bias, noise], |[x, bias, noise]| composed(x + noise + bias))
        }
    };
    let tangent = x.tangent.map(|tangent| {
        ops_cpu::apply(Gate { gain, limit: limits }, [tangent, y.clone().detach()], |[t, y]| {
            let slope = y.clone().lower_elem(0.0).float().mul_scalar(-0.8 * gain).add_scalar(gain);
            match limit {
                Some(limit) => t * slope * y.abs().lower_elem(limit).float(),
                None => t * slope,
            }
        })
    });
    Dual { primal: y, tangent }
}

/// Multiplies every channel of every sample by its number in `scales` `[batch, channels]`.
pub fn scale_channels<B: Backend>(x: Dual<B, 4>, scales: Dual<B, 2>) -> Dual<B, 4> {
    let [n, c] = scales.primal.dims();
    let scales = scales.linear(|s| s.reshape([n, c, 1, 1]));
    x.bilinear(scales, |x, s| ops_cpu::apply(ScaleChannels, [x, s], |[x, s]| x * s))
}
