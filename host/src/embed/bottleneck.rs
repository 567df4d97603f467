//! The residual blocks of both ResNet-50s: 1x1, 3x3 and 1x1 convolutions, and a shortcut around them.

use burn::tensor::{Tensor, activation::relu, backend::Backend, module::avg_pool2d};
use nickeldime_checkpoint::model::weights::Tensors;

use super::folded::{Conv, ConvSpec};
use crate::nets::{names::LoadError, tap::Tap};

/// The epsilon of torch's batch norm.
pub const EPSILON: f64 = 1e-5;
/// The number of blocks in each of the four layers.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// A block's outputs are this many times its width.
const EXPANSION: usize = 4;
/// The input channels of the first layer, which are also its width.
const WIDTH: usize = 64;
/// The output channels of the last layer.
pub const OUTPUTS: usize = (WIDTH * EXPANSION) << 3;

/// The way in which the first block of a layer halves the resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halving {
    /// The 3x3 convolution and the shortcut have stride 2 (ResNet v1.5).
    Stride,
    /// An average pool follows the 3x3 convolution, and another precedes the shortcut's convolution (CLIP).
    Pool,
}

/// The sizes of one block and the names of its tensors.
#[derive(Debug, Clone)]
struct BlockSpec {
    convs: [ConvSpec; 3],
    around: Option<ConvSpec>,
    pool: bool,
}

/// Iterates over the blocks, layer by layer.
fn specs(halving: Halving) -> Vec<Vec<BlockSpec>> {
    let mut inputs = WIDTH;
    let mut layers = Vec::new();
    for (layer, &blocks) in BLOCKS.iter().enumerate() {
        let width = WIDTH << layer;
        let mut specs = Vec::new();
        for block in 0..blocks {
            let halves = layer > 0 && block == 0;
            let stride = if halves && halving == Halving::Stride { 2 } else { 1 };
            let name = format!("layer{}.{block}", layer + 1);
            let conv = |i: usize, shape: [usize; 4], stride| ConvSpec {
                conv: format!("{name}.conv{i}"),
                norm: format!("{name}.bn{i}"),
                shape,
                stride,
                padding: [shape[2] / 2; 2],
            };
            let outputs = width * EXPANSION;
            let around = ConvSpec {
                conv: format!("{name}.downsample.0"),
                norm: format!("{name}.downsample.1"),
                ..conv(0, [outputs, inputs, 1, 1], stride)
            };
            specs.push(BlockSpec {
                convs: [
                    conv(1, [width, inputs, 1, 1], 1),
                    conv(2, [width, width, 3, 3], stride),
                    conv(3, [outputs, width, 1, 1], 1),
                ],
                around: (block == 0).then_some(around),
                pool: halves && halving == Halving::Pool,
            });
            inputs = outputs;
        }
        layers.push(specs);
    }
    layers
}

/// All convolutions of the four layers.
pub fn convolutions(halving: Halving) -> impl Iterator<Item = ConvSpec> {
    let blocks = specs(halving).into_iter().flatten();
    blocks.flat_map(|block| block.convs.into_iter().chain(block.around))
}

#[derive(Debug, Clone)]
struct Block<B: Backend> {
    convs: [Conv<B>; 3],
    around: Option<Conv<B>>,
    pool: bool,
}

/// The four layers of residual blocks.
#[derive(Debug, Clone)]
pub struct Layers<B: Backend>(Vec<Vec<Block<B>>>);

impl<B: Backend> Layers<B> {
    /// Builds the layers from tensors `layer1.0.conv1.weight`, ...
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn new(halving: Halving, tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let conv = |spec: &ConvSpec| Conv::folded(spec, EPSILON, tensors, device);
        let block = |spec: BlockSpec| {
            let [first, second, third] = &spec.convs;
            Ok(Block {
                convs: [conv(first)?, conv(second)?, conv(third)?],
                around: spec.around.as_ref().map(conv).transpose()?,
                pool: spec.pool,
            })
        };
        let layer = |layer: Vec<BlockSpec>| layer.into_iter().map(block).collect::<Result<_, LoadError>>();
        Ok(Self(specs(halving).into_iter().map(layer).collect::<Result<_, _>>()?))
    }

    /// Maps `[batch, 64, h, w]` to `[batch, 2048, h / 8, w / 8]`. `tap` sees the outputs of `layer1` to `layer4`.
    pub fn forward(&self, mut x: Tensor<B, 4>, tap: &mut impl Tap<B>) -> Tensor<B, 4> {
        for (i, layer) in self.0.iter().enumerate() {
            for block in layer {
                x = block.forward(x);
            }
            tap.see(&format!("layer{}", i + 1), &x);
        }
        x
    }
}

impl<B: Backend> Block<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [first, second, third] = &self.convs;
        let pooled = |x| if self.pool { halved(x) } else { x };
        let y = third.forward(pooled(second.active(first.active(x.clone()))));
        let around = match &self.around {
            Some(conv) => conv.forward(pooled(x)),
            None => x,
        };
        relu(y + around)
    }
}

/// A 2x2 average pool.
pub fn halved<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(x, [2, 2], [2, 2], [0, 0], true, false)
}
