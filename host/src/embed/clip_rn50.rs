//! The image tower of CLIP RN50: a ResNet-50 with a stem of three convolutions, average pools in place of strides, and
//! attention in place of the last mean.

use burn::tensor::{Tensor, activation::softmax, backend::Backend};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

use super::{
    bottleneck::{self, EPSILON, Halving, Layers, OUTPUTS, halved},
    folded::{Conv, ConvSpec, global_mean, tensor},
    layout::Layout,
};
use crate::nets::{
    names::LoadError,
    resize::bilinear,
    tap::{NoTap, Tap},
};

/// The height and width of the tower's input.
const SIZE: usize = 224;
/// The height and width of the last feature map.
const GRID: usize = SIZE / 32;
const HEADS: usize = 32;
/// The number of features of an image.
const FEATURES: usize = 1024;
/// The linear layers of the attention, each with its number of outputs.
const LINEAR: [(&str, usize); 4] =
    [("q_proj", OUTPUTS), ("k_proj", OUTPUTS), ("v_proj", OUTPUTS), ("c_proj", FEATURES)];
/// The name of the positional embedding.
const POSITIONS: &str = "attnpool.positional_embedding";

/// The image tower. It has 1024 features.
#[derive(Debug, Clone)]
pub struct ClipRn50<B: Backend> {
    stem: Vec<Conv<B>>,
    layers: Layers<B>,
    attention: Attention<B>,
}

fn stem() -> [ConvSpec; 3] {
    [(1, [32, 3, 3, 3], 2), (2, [32, 32, 3, 3], 1), (3, [64, 32, 3, 3], 1)].map(|(i, shape, stride)| ConvSpec {
        conv: format!("conv{i}"),
        norm: format!("bn{i}"),
        shape,
        stride,
        padding: [1, 1],
    })
}

/// The tensors of OpenAI's file: the whole model as a TorchScript archive, or a state dict of the model or of its image
/// tower.
pub fn layout() -> Layout {
    let mut tensors = Shapes::new();
    let convs = stem().into_iter().chain(bottleneck::convolutions(Halving::Pool));
    convs.for_each(|conv| conv.tensors(&mut tensors));
    tensors.insert(POSITIONS.into(), vec![GRID * GRID + 1, OUTPUTS]);
    for (name, outputs) in LINEAR {
        tensors.insert(format!("attnpool.{name}.weight"), vec![outputs, OUTPUTS]);
        tensors.insert(format!("attnpool.{name}.bias"), vec![outputs]);
    }
    Layout {
        network: "CLIP RN50's image tower",
        file: "OpenAI's RN50.pt",
        marker: "attnpool.c_proj.weight",
        tensors,
        witnesses: Shapes::new(),
        foreign: &[],
        closed: &["conv", "layer", "attnpool"],
    }
}

impl<B: Backend> ClipRn50<B> {
    /// Builds the tower from tensors `conv1.weight`, `layer1.0.conv1.weight`, `attnpool.positional_embedding`, ...
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn new(tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let conv = |spec: &ConvSpec| Conv::folded(spec, EPSILON, tensors, device);
        Ok(Self {
            stem: stem().iter().map(conv).collect::<Result<_, _>>()?,
            layers: Layers::new(Halving::Pool, tensors, device)?,
            attention: Attention::new(tensors, device)?,
        })
    }

    /// Maps images `[batch, 3, h, w]` in [-1, 1] to features `[batch, 1024]`. Images are resized to 224x224 and not
    /// normalised (`docs/method.md` section 3).
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        self.features_tapped(images, &mut NoTap)
    }

    /// The same mapping; `tap` sees the outputs of the layers.
    pub fn features_tapped(&self, images: Tensor<B, 4>, tap: &mut impl Tap<B>) -> Tensor<B, 2> {
        let mut x = bilinear(images, SIZE, SIZE);
        for conv in &self.stem {
            x = conv.active(x);
        }
        self.pool(self.layers.forward(halved(x), tap))
    }

    /// The attention that maps the last feature map `[batch, 2048, 7, 7]` to the features.
    pub fn pool(&self, map: Tensor<B, 4>) -> Tensor<B, 2> {
        self.attention.forward(map)
    }
}

/// Attention in which the map's mean is the query, and the mean and all pixels are keys and values.
#[derive(Debug, Clone)]
struct Attention<B: Backend> {
    /// The positional embedding, `[1, 50, 2048]`.
    positions: Tensor<B, 3>,
    /// The transposed weights and the biases of queries, keys, values and result.
    linear: [(Tensor<B, 2>, Tensor<B, 2>); 4],
}

impl<B: Backend> Attention<B> {
    fn new(tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let linear = |(name, outputs): (&str, usize)| {
            let weight = tensor(tensors, &format!("attnpool.{name}.weight"), [outputs, OUTPUTS], device)?;
            let bias = tensor::<B, 1>(tensors, &format!("attnpool.{name}.bias"), [outputs], device)?;
            Ok((weight.transpose(), bias.unsqueeze()))
        };
        let [q, k, v, c] = LINEAR;
        let positions = tensor::<B, 2>(tensors, POSITIONS, [GRID * GRID + 1, OUTPUTS], device)?;
        Ok(Self { positions: positions.unsqueeze(), linear: [linear(q)?, linear(k)?, linear(v)?, linear(c)?] })
    }

    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 2> {
        const WIDTH: usize = OUTPUTS / HEADS;
        let [n, c, h, w] = map.dims();
        let pixels = map.clone().reshape([n, c, h * w]).swap_dims(1, 2);
        let mean = global_mean(map).reshape([n, 1, c]);
        let tokens = Tensor::cat(vec![mean, pixels], 1) + self.positions.clone();
        let count = h * w + 1;
        let apply =
            |x: Tensor<B, 2>, (weight, bias): &(Tensor<B, 2>, Tensor<B, 2>)| x.matmul(weight.clone()) + bias.clone();
        let heads = |x: Tensor<B, 2>, tokens| x.reshape([n, tokens, HEADS, WIDTH]).swap_dims(1, 2);
        let [q, k, v, result] = &self.linear;
        // Only the first token's output is used.
        let first = tokens.clone().narrow(1, 0, 1).reshape([n, c]);
        let all = tokens.reshape([n * count, c]);
        let queries = heads(apply(first, q).div_scalar((WIDTH as f32).sqrt()), 1);
        let scores = queries.matmul(heads(apply(all.clone(), k), count).swap_dims(2, 3));
        let answer = softmax(scores, 3).matmul(heads(apply(all, v), count));
        apply(answer.swap_dims(1, 2).reshape([n, c]), result)
    }
}
