//! The residual blocks that both ResNet-50s consist of: 1x1, 3x3, 1x1, and a way around them.

use burn::tensor::{Tensor, activation::relu, backend::Backend, module::avg_pool2d};
use nickeldime_checkpoint::model::weights::Tensors;

use super::folded::{Conv, ConvSpec};
use crate::nets::{names::LoadError, tap::Tap};

/// Of torch's batch norm.
pub const EPSILON: f64 = 1e-5;
/// Blocks of the four layers.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// A block gives this many times its width.
const EXPANSION: usize = 4;
/// Channels that the first layer takes, and its width.
const WIDTH: usize = 64;
/// Channels that the last layer gives.
pub const OUTPUTS: usize = (WIDTH * EXPANSION) << 3;

/// How the first block of a layer halves its map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halving {
    /// The 3x3 convolution and the way around have stride 2 (ResNet v1.5).
    Stride,
    /// An average pool behind the 3x3 convolution and in front of the way around (CLIP).
    Pool,
}

/// One block's sizes and names.
#[derive(Debug, Clone)]
struct BlockSpec {
    convs: [ConvSpec; 3],
    around: Option<ConvSpec>,
    pool: bool,
}

/// The convolutions of one layer after the other.
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

/// Every convolution of the four layers.
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

/// The four layers.
#[derive(Debug, Clone)]
pub struct Layers<B: Backend>(Vec<Vec<Block<B>>>);

impl<B: Backend> Layers<B> {
    /// From tensors `layer1.0.conv1.weight` ...
    ///
    /// # Errors
    /// The first tensor that is missing or of another size.
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

    /// `[batch, 64, h, w]` to `[batch, 2048, h / 8, w / 8]`; `tap` sees `layer1` to `layer4`.
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

/// 2x2 average pool.
pub fn halved<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(x, [2, 2], [2, 2], [0, 0], true, false)
}
