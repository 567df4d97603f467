//! The cost of a generator: multiply-accumulates (MACs) and parameters, by layer and in total.

use serde::Serialize;

use super::arch::{GeneratorArch, block_resolution};

/// The kind of a layer in [`LayerCost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// A fully connected layer of the mapping network.
    Mapping,
    /// A modulated 3x3 convolution with its style affine.
    Conv,
    /// The 1x1 projection to RGB with its style affine.
    ToRgb,
}

/// One layer's cost for one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerCost {
    /// The layer's name in the checkpoint: `mapping.fc0`, `b4.conv1`, `b4.torgb`, ...
    pub name: String,
    /// The kind of the layer.
    pub kind: LayerKind,
    /// Input channels or features.
    pub cin: usize,
    /// Output channels or features.
    pub cout: usize,
    /// Height and width at which its products are counted; 1 in the mapping network. An up-sampling convolution
    /// counts at its input's size: one product for each input pixel and tap.
    pub resolution: usize,
    /// Multiply-accumulates of the convolution or fully connected product.
    pub macs: u64,
    /// Multiply-accumulates of the style affine; 0 in the mapping network.
    pub affine_macs: u64,
    /// Trained numbers: weight, bias, style affine, noise strength; the learned constant counts with `b4.conv1`.
    pub params: u64,
}

/// The number of trained parameters. Buffers (`w_avg`, `noise_const`, filters) are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Params {
    /// The mapping network.
    pub mapping: u64,
    /// The synthesis network, style affines included.
    pub synthesis: u64,
    /// Both networks together.
    pub total: u64,
}

/// Multiply-accumulates for one image. Bias, noise, activation, modulation, demodulation and FIR filters are not
/// counted in either convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Macs {
    /// Mapping, every convolution, toRGB, and their style affines.
    pub total: u64,
    /// The paper's convention, which reproduces its compression rates: mapping, convolutions and their affines, without
    /// toRGB and its affines.
    pub paper: u64,
}

/// A generator's cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The mapping layers, then the synthesis layers from 4x4 up.
    pub layers: Vec<LayerCost>,
    /// The number of trained parameters.
    pub params: Params,
    /// Multiply-accumulates for one image.
    pub macs: Macs,
}

impl Cost {
    /// Counts every layer of a generator.
    pub fn of(arch: &GeneratorArch) -> Self {
        let layers = layers(arch);
        let sum = |of: &dyn Fn(&LayerCost) -> u64| layers.iter().map(of).sum::<u64>();
        let mapping = sum(&|l| match l.kind {
            LayerKind::Mapping => l.params,
            _ => 0,
        });
        let total = sum(&|l| l.params);
        let macs = Macs {
            total: sum(&|l| l.macs + l.affine_macs),
            paper: sum(&|l| match l.kind {
                LayerKind::ToRgb => 0,
                _ => l.macs + l.affine_macs,
            }),
        };
        Self { params: Params { mapping, synthesis: total - mapping, total }, macs, layers }
    }
}

/// The paper's compression rate: the share of the dense generator's MACs that was removed, in percent. It is 90.73 for
/// `paper256` at pruning ratio 0.7.
pub fn compression_rate(dense: &Macs, compressed: &Macs) -> f64 {
    100.0 * (1.0 - compressed.paper as f64 / dense.paper as f64)
}

fn layers(arch: &GeneratorArch) -> Vec<LayerCost> {
    let mut layers = Vec::new();
    for i in 0..arch.mapping_layers {
        let cin = if i == 0 { arch.z_dim } else { arch.w_dim };
        let weights = cin as u64 * arch.w_dim as u64;
        layers.push(LayerCost {
            name: format!("mapping.fc{i}"),
            kind: LayerKind::Mapping,
            cin,
            cout: arch.w_dim,
            resolution: 1,
            macs: weights,
            affine_macs: 0,
            params: weights + arch.w_dim as u64,
        });
    }
    for (i, &c) in arch.channels.iter().enumerate() {
        let resolution = block_resolution(i);
        let constant = if i == 0 { 16 * c as u64 } else { 0 };
        if i > 0 {
            let before = arch.channels[i - 1];
            layers.push(conv(arch, resolution, 0, before, c));
        }
        let mut conv1 = conv(arch, resolution, 1, c, c);
        conv1.params += constant;
        layers.push(conv1);
        layers.push(styled(arch, resolution, LayerKind::ToRgb, "torgb", c, arch.img_channels));
    }
    layers
}

/// A modulated 3x3 convolution with its style affine. `conv0` doubles the resolution and is counted at its input's
/// size.
fn conv(arch: &GeneratorArch, block: usize, index: usize, cin: usize, cout: usize) -> LayerCost {
    let name = ["conv0", "conv1"][index];
    let mut layer = styled(arch, block, LayerKind::Conv, name, cin, cout);
    layer.resolution = [block / 2, block][index];
    layer.macs = 9 * cin as u64 * cout as u64 * (layer.resolution * layer.resolution) as u64;
    // Nine taps instead of one, and the noise strength.
    layer.params += 8 * cin as u64 * cout as u64 + 1;
    layer
}

/// A 1x1 product with its style affine.
fn styled(arch: &GeneratorArch, block: usize, kind: LayerKind, name: &str, cin: usize, cout: usize) -> LayerCost {
    let weights = cin as u64 * cout as u64;
    let affine = cin as u64 * arch.w_dim as u64;
    LayerCost {
        name: format!("b{block}.{name}"),
        kind,
        cin,
        cout,
        resolution: block,
        macs: weights * (block * block) as u64,
        affine_macs: affine,
        params: weights + cout as u64 + affine + cin as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compression_rates_of_the_paper() {
        let dense = GeneratorArch::preset("paper256").unwrap();
        let full = Cost::of(&dense);
        for (ratio, rate, params) in [
            (0.7, "90.73", 4_959_947),
            (0.8, "95.88", 3_636_512),
            (0.9, "98.92", 2_685_074),
            (0.95, "99.69", 2_346_059),
        ] {
            let cost = Cost::of(&dense.pruned(ratio).unwrap());
            let found = compression_rate(&full.macs, &cost.macs);
            assert_eq!(format!("{found:.2}"), rate);
            assert_eq!(cost.params.total, params);
        }
    }

    #[test]
    fn parameters_are_the_trained_tensors() {
        let arch = GeneratorArch::preset("digits32").unwrap();
        let trained = |name: &str| !name.ends_with("w_avg") && !name.ends_with("noise_const");
        let tensors = arch.tensor_shapes();
        let numbers = tensors.iter().filter(|(name, _)| trained(name));
        let numbers: usize = numbers.map(|(_, s)| s.iter().product::<usize>()).sum();
        assert_eq!(Cost::of(&arch).params.total, numbers as u64);
    }
}
