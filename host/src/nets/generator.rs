//! The skip-architecture generator: mapping network, synthesis blocks, toRGB.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use nickeldime_checkpoint::model::arch::{GeneratorArch, block_resolution};

use super::{
    dual::Dual,
    ops::{
        Activation, FullyConnected, bias_act, buffer, channel_bias, correlate, fir, parameter, reciprocal,
        scale_channels, transposed, upsample,
    },
    tap::{NoTap, Tap, Within},
};

/// Learning-rate multiplier of the mapping network: its stored weights are 1 / 0.01 times as large.
const MAPPING_LR_MULT: f32 = 0.01;
/// The share of the running mean of w that one training update keeps.
const AVERAGE_DECAY: f32 = 0.995;
/// The small number that keeps normalisations from dividing by 0.
const EPSILON: f32 = 1e-8;

/// The noise that is added to the feature maps.
#[derive(Debug, Clone)]
pub enum Noise<B: Backend> {
    /// No noise.
    None,
    /// The stored map of each layer, the same for all samples.
    Const,
    /// A map `[batch, 1, h, w]` for each convolution, in order: b4.conv1, b8.conv0, b8.conv1, ...
    Maps(Vec<Tensor<B, 4>>),
}

/// The mapping network, from z to w.
#[derive(Module, Debug)]
pub struct Mapping<B: Backend> {
    /// The fully connected layers fc0, fc1, ...
    pub fc: Vec<FullyConnected<B>>,
    /// The running mean of w, `[w_dim]`.
    pub w_avg: Param<Tensor<B, 1>>,
}

impl<B: Backend> Mapping<B> {
    /// The width of the latent z.
    pub fn z_dim(&self) -> usize {
        self.fc.first().map_or(0, |layer| layer.weight.dims()[1])
    }

    /// Maps `z` `[batch, z_dim]` to `w` `[batch, w_dim]`.
    pub fn forward(&self, z: Tensor<B, 2>, tap: &mut impl Tap<B>) -> Tensor<B, 2> {
        let power = z.clone().powi_scalar(2).mean_dim(1).add_scalar(EPSILON);
        let mut x = z / power.sqrt();
        tap.see("z_normalized", &x);
        for (i, layer) in self.fc.iter().enumerate() {
            x = layer.forward(x.into(), Activation::LeakyRelu, MAPPING_LR_MULT).primal;
            tap.see(&format!("fc{i}.out"), &x);
        }
        x
    }

    /// Truncation: the first `cutoff` entries of `ws` `[batch, num_ws, w_dim]` (`None`: all) become
    /// `w_avg + psi (w - w_avg)`; psi 1 leaves them, psi 0 gives the mean image.
    pub fn truncate(&self, ws: Tensor<B, 3>, psi: f32, cutoff: Option<usize>) -> Tensor<B, 3> {
        let [_, num_ws, _] = ws.dims();
        let cutoff = cutoff.map_or(num_ws, |c| c.min(num_ws));
        let near = |ws: Tensor<B, 3>| {
            let mean = self.w_avg.val().unsqueeze();
            (ws - mean.clone()).mul_scalar(psi) + mean
        };
        match cutoff {
            0 => ws,
            c if c == num_ws => near(ws),
            c => {
                let rest = ws.clone().narrow(1, c, num_ws - c);
                Tensor::cat(vec![near(ws.narrow(1, 0, c)), rest], 1)
            }
        }
    }

    /// Moves the running mean of w towards the mean of a training batch `[batch, w_dim]`.
    pub fn track(&mut self, w: Tensor<B, 2>) {
        let [_, w_dim] = w.dims();
        let mean = w.detach().mean_dim(0).reshape([w_dim]);
        self.w_avg = self.w_avg.clone().map(|old| (mean.clone() + (old - mean).mul_scalar(AVERAGE_DECAY)).detach());
    }
}

/// A modulated 3x3 convolution with noise, bias and leaky ReLU.
#[derive(Module, Debug)]
pub struct SynthesisLayer<B: Backend> {
    /// The affine layer that turns w into one style for each input channel.
    pub affine: FullyConnected<B>,
    /// The weight, `[out, in, 3, 3]`.
    pub weight: Param<Tensor<B, 4>>,
    /// The bias, `[out]`.
    pub bias: Param<Tensor<B, 1>>,
    /// The noise strength, `[1]`; a scalar in files.
    pub noise_strength: Param<Tensor<B, 1>>,
    /// The constant noise map, `[resolution, resolution]`.
    pub noise_const: Param<Tensor<B, 2>>,
}

impl<B: Backend> SynthesisLayer<B> {
    fn new(w_dim: usize, inputs: usize, outputs: usize, resolution: usize, device: &B::Device) -> Self {
        Self {
            affine: FullyConnected::new(w_dim, inputs, device),
            weight: parameter([outputs, inputs, 3, 3], device),
            bias: parameter([outputs], device),
            noise_strength: parameter([1], device),
            noise_const: buffer([resolution, resolution], device),
        }
    }

    fn forward(
        &self,
        x: Dual<B, 4>,
        w: Dual<B, 2>,
        setting: &LayerSetting<'_, B>,
        tap: &mut impl Tap<B>,
    ) -> Dual<B, 4> {
        let styles = self.affine.forward(w, Activation::Linear, 1.0);
        tap.see("styles", &styles.primal);

        // d_o = 1 / sqrt(sum_i s_i^2 sum_ab w^2 + eps): the convolution of the modulated weights in unit norm.
        let weight = self.weight.val();
        let [outputs, inputs, _, _] = weight.dims();
        let power = weight
            .clone()
            .powi_scalar(2)
            .reshape([outputs, inputs, 9])
            .sum_dim(2)
            .reshape([outputs, inputs])
            .transpose();
        let demodulation = styles
            .clone()
            .function(|s| s.powi_scalar(2), |s| s.mul_scalar(2.0))
            .linear(|s| s.matmul(power.clone()))
            .shift(Tensor::full([1, 1], EPSILON, &weight.device()))
            .function(|e| reciprocal(e.sqrt()), |e| reciprocal(e.clone().sqrt().mul(e)).mul_scalar(-0.5));
        tap.see("dcoefs", &demodulation.primal);

        let x = scale_channels(x, styles);
        let x = if setting.up {
            x.linear(|t| transposed(t, weight.clone()))
        } else {
            x.linear(|t| correlate(t, weight.clone(), 1, 1))
        };
        let x = scale_channels(x, demodulation);
        let x = if setting.up {
            tap.see("mid", &x.primal);
            x.linear(|t| fir(t, 1, (1, 1), 4.0))
        } else {
            x
        };

        let noise = match setting.noise {
            Noise::None => None,
            Noise::Const => Some(self.noise_const.val().unsqueeze()),
            Noise::Maps(maps) => Some(maps[setting.index].clone()),
        };
        let noise = noise.map(|noise| noise * self.noise_strength.val().reshape([1, 1, 1, 1]));
        let x = bias_act(x, self.bias.val(), noise, 1.0, setting.clamp);
        tap.see("out", &x.primal);
        x
    }
}

/// The arguments of a layer that depend on its place in the network.
struct LayerSetting<'a, B: Backend> {
    index: usize,
    up: bool,
    noise: &'a Noise<B>,
    clamp: Option<f32>,
}

/// A modulated 1x1 convolution to the image's channels (three colours, or grey), without demodulation.
#[derive(Module, Debug)]
pub struct ToRgb<B: Backend> {
    /// The affine layer that turns w into one style for each input channel.
    pub affine: FullyConnected<B>,
    /// The weight, `[img_channels, in, 1, 1]`.
    pub weight: Param<Tensor<B, 4>>,
    /// The bias, `[img_channels]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> ToRgb<B> {
    fn new(w_dim: usize, inputs: usize, outputs: usize, device: &B::Device) -> Self {
        Self {
            affine: FullyConnected::new(w_dim, inputs, device),
            weight: parameter([outputs, inputs, 1, 1], device),
            bias: parameter([outputs], device),
        }
    }

    fn forward(&self, x: Dual<B, 4>, w: Dual<B, 2>, clamp: Option<f32>, tap: &mut impl Tap<B>) -> Dual<B, 4> {
        let [_, inputs, _, _] = self.weight.dims();
        let styles = self.affine.forward(w, Activation::Linear, 1.0);
        let styles = styles.gain(1.0 / (inputs as f32).sqrt());
        tap.see("styles", &styles.primal);
        let weight = self.weight.val();
        let x = scale_channels(x, styles)
            .linear(|t| correlate(t, weight.clone(), 1, 0))
            .shift(channel_bias(self.bias.val()));
        let x = match clamp {
            Some(limit) => x.clamp(limit),
            None => x,
        };
        tap.see("out", &x.primal);
        x
    }
}

/// The synthesis block of one resolution.
#[derive(Module, Debug)]
pub struct SynthesisBlock<B: Backend> {
    /// The learned constant `[channels, 4, 4]`; b4 only.
    pub constant: Option<Param<Tensor<B, 3>>>,
    /// The up-sampling convolution; all blocks but b4.
    pub conv0: Option<SynthesisLayer<B>>,
    /// The second convolution.
    pub conv1: SynthesisLayer<B>,
    /// The layer that gives the block's share of the image.
    pub torgb: ToRgb<B>,
}

/// The synthesis network, from w to an image.
#[derive(Module, Debug)]
pub struct Synthesis<B: Backend> {
    /// The blocks b4, b8, ...
    pub blocks: Vec<SynthesisBlock<B>>,
}

impl<B: Backend> Synthesis<B> {
    /// Maps `ws` `[batch, num_ws, w_dim]` to images `[batch, img_channels, resolution, resolution]`, about in [-1, 1].
    pub fn forward(&self, ws: Dual<B, 3>, noise: &Noise<B>, clamp: Option<f32>, tap: &mut impl Tap<B>) -> Dual<B, 4> {
        let [n, _, w_dim] = ws.primal.dims();
        let entry = |i: usize| ws.clone().linear(|t| t.narrow(1, i, 1).reshape([n, w_dim]));
        let mut features: Option<Dual<B, 4>> = None;
        let mut image: Option<Dual<B, 4>> = None;
        let mut index = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let mut tap = Within::new(format!("b{}", block_resolution(i)), tap);
            let mut layer = |layer: &SynthesisLayer<B>, x, up, name: &str, tap: &mut _| {
                let setting = LayerSetting { index, up, noise, clamp };
                index += 1;
                layer.forward(x, entry(setting.index), &setting, &mut Within::new(name, tap))
            };
            let x = match (&block.constant, &block.conv0, features) {
                (Some(constant), _, _) => {
                    let constant = constant.val();
                    let [c, h, w] = constant.dims();
                    constant.reshape([1, c, h, w]).expand([n, c, h, w]).into()
                }
                (None, Some(conv0), Some(x)) => layer(conv0, x, true, "conv0", &mut tap),
                // `Generator::new` gives b4 a constant and every other block a conv0.
                (None, ..) => unreachable!("a block begins with a constant or with conv0"),
            };
            let x = layer(&block.conv1, x, false, "conv1", &mut tap);
            let rgb = block.torgb.forward(x.clone(), entry(index), clamp, &mut Within::new("torgb", &mut tap));
            let img = match image {
                Some(previous) => previous.linear(upsample).sum_with(rgb),
                None => rgb,
            };
            tap.see("x", &x.primal);
            tap.see("img", &img.primal);
            features = Some(x);
            image = Some(img);
        }
        // An architecture has at least the blocks b4 and b8.
        image.expect("a synthesis network has blocks")
    }
}

/// A StyleGAN2 generator.
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    /// The mapping network, from z to w.
    pub mapping: Mapping<B>,
    /// The synthesis network, from w to an image.
    pub synthesis: Synthesis<B>,
    /// The clamp of activations, `conv_clamp`.
    pub clamp: Option<f32>,
}

impl<B: Backend> Generator<B> {
    /// A generator whose parameters are 0, to be filled by [`super::names::load`].
    pub fn new(arch: &GeneratorArch, device: &B::Device) -> Self {
        let fc = (0..arch.mapping_layers)
            .map(|i| {
                let inputs = if i == 0 { arch.z_dim } else { arch.w_dim };
                FullyConnected::new(inputs, arch.w_dim, device)
            })
            .collect();
        let blocks = (0..arch.channels.len())
            .map(|i| {
                let resolution = block_resolution(i);
                let channels = arch.channels[i];
                let conv = |inputs| SynthesisLayer::new(arch.w_dim, inputs, channels, resolution, device);
                SynthesisBlock {
                    constant: (i == 0).then(|| parameter([channels, 4, 4], device)),
                    conv0: (i > 0).then(|| conv(arch.channels[i - 1])),
                    conv1: conv(channels),
                    torgb: ToRgb::new(arch.w_dim, channels, arch.img_channels, device),
                }
            })
            .collect();
        Self {
            mapping: Mapping { fc, w_avg: buffer([arch.w_dim], device) },
            synthesis: Synthesis { blocks },
            clamp: arch.conv_clamp,
        }
    }

    /// Channels of the image.
    pub fn img_channels(&self) -> usize {
        self.synthesis.blocks.first().map_or(0, |block| block.torgb.bias.dims()[0])
    }

    /// The number of entries of `ws`: one for each 3x3 convolution and one for the last toRGB.
    pub fn num_ws(&self) -> usize {
        2 * self.synthesis.blocks.len()
    }

    /// Repeats `w` `[batch, w_dim]` for every layer, as `ws` `[batch, num_ws, w_dim]`.
    pub fn broadcast(&self, w: Tensor<B, 2>) -> Tensor<B, 3> {
        let [n, w_dim] = w.dims();
        w.reshape([n, 1, w_dim]).expand([n, self.num_ws(), w_dim])
    }

    /// Maps `ws` `[batch, num_ws, w_dim]` to images, about in [-1, 1].
    pub fn synthesise(&self, ws: Tensor<B, 3>, noise: &Noise<B>) -> Tensor<B, 4> {
        self.synthesise_tapped(ws.into(), noise, &mut NoTap).primal
    }

    /// [`Generator::synthesise`] on dual numbers; `tap` sees the intermediate values.
    pub fn synthesise_tapped(&self, ws: Dual<B, 3>, noise: &Noise<B>, tap: &mut impl Tap<B>) -> Dual<B, 4> {
        self.synthesis.forward(ws, noise, self.clamp, tap)
    }

    /// Maps `z` `[batch, z_dim]` to `ws` `[batch, num_ws, w_dim]`, without truncation.
    pub fn ws(&self, z: Tensor<B, 2>) -> Tensor<B, 3> {
        self.broadcast(self.mapping.forward(z, &mut NoTap))
    }

    /// The styles that `ws` `[batch, num_ws, w_dim]` makes in every layer, each `[batch, input channels]`, in the order
    /// b4.conv1, b4.torgb, b8.conv0, b8.conv1, b8.torgb, ...; those of toRGB with their factor `1 / sqrt(channels)`.
    pub fn layer_styles(&self, ws: Tensor<B, 3>) -> Vec<Tensor<B, 2>> {
        let [n, _, w_dim] = ws.dims();
        let styles = |affine: &FullyConnected<B>, entry: usize| {
            let w = ws.clone().narrow(1, entry, 1).reshape([n, w_dim]);
            affine.forward(w.into(), Activation::Linear, 1.0).primal
        };
        let mut all = Vec::new();
        let mut entry = 0;
        for block in &self.synthesis.blocks {
            for layer in block.conv0.iter().chain([&block.conv1]) {
                all.push(styles(&layer.affine, entry));
                entry += 1;
            }
            let [_, inputs, _, _] = block.torgb.weight.dims();
            all.push(styles(&block.torgb.affine, entry).div_scalar((inputs as f32).sqrt()));
        }
        all
    }

    /// Style mixing: the `ws` of `z`, with the entries from `cut` on taken from the `ws` of `z2`.
    pub fn mixed_ws(&self, z: Tensor<B, 2>, z2: Tensor<B, 2>, cut: usize) -> Tensor<B, 3> {
        let num_ws = self.num_ws();
        let first = self.ws(z).narrow(1, 0, cut);
        if cut == num_ws {
            return first;
        }
        let second = self.ws(z2).narrow(1, cut, num_ws - cut);
        Tensor::cat(vec![first, second], 1)
    }
}
