//! A small in-domain embedder: four convolutions and a fully connected layer, read at three depths.

use burn::tensor::{Tensor, activation::relu, backend::Backend};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

use super::{folded::tensor, layout::Layout};
use crate::nets::{
    names::LoadError,
    ops::{channel_bias, correlate},
    resize::bilinear,
};

/// The height and width of the network's input.
pub const SIZE: usize = 32;
/// The height and width of the grid on which feature maps are averaged.
const GRID: usize = 2;
/// The convolutions: name, shape of the weight, stride and padding.
pub const CONVS: [(&str, [usize; 4], usize, usize); 4] = [
    ("conv1", [24, 1, 5, 5], 2, 2),
    ("conv2", [48, 24, 3, 3], 2, 1),
    ("conv3", [96, 48, 3, 3], 2, 1),
    ("conv4", [128, 96, 3, 3], 1, 1),
];
/// The numbers of outputs and inputs of the fully connected layer.
pub const FC: [usize; 2] = [128, 128 * GRID * GRID];

/// The network. Its 704 features are 2x2 averages of the second and third feature map and the outputs of the fully
/// connected layer.
#[derive(Debug, Clone)]
pub struct Small<B: Backend> {
    convs: Vec<(Tensor<B, 4>, Tensor<B, 4>)>,
    fc: (Tensor<B, 2>, Tensor<B, 2>),
}

/// The tensors of a file that `nickeldime embedder train` writes.
pub fn layout() -> Layout {
    let mut tensors = Shapes::new();
    for (name, shape, ..) in CONVS {
        tensors.insert(format!("{name}.weight"), shape.to_vec());
        tensors.insert(format!("{name}.bias"), vec![shape[0]]);
    }
    tensors.insert("fc.weight".into(), FC.to_vec());
    tensors.insert("fc.bias".into(), vec![FC[0]]);
    Layout {
        network: "the small embedder",
        file: "what `nickeldime embedder train` writes",
        marker: "conv1.weight",
        tensors,
        witnesses: Shapes::new(),
        foreign: &[],
        closed: &[],
    }
}

impl<B: Backend> Small<B> {
    /// Builds the network from tensors `conv1.weight`, ..., `fc.bias`. Other tensors (the classifier's head) are not
    /// used.
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn new(tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let conv = |(name, shape, ..): &(&str, [usize; 4], usize, usize)| {
            let weight = tensor(tensors, &format!("{name}.weight"), *shape, device)?;
            let bias = tensor(tensors, &format!("{name}.bias"), [shape[0]], device)?;
            Ok((weight, bias))
        };
        let convs = CONVS.iter().map(conv).collect::<Result<_, LoadError>>()?;
        let fc = (tensor(tensors, "fc.weight", FC, device)?, tensor(tensors, "fc.bias", [FC[0]], device)?);
        Ok(Self::from_parts(convs, fc))
    }

    /// Builds the network from weights and biases: the convolutions in the order of [`CONVS`], then the fully connected
    /// layer.
    pub fn from_parts(convs: Vec<(Tensor<B, 4>, Tensor<B, 1>)>, (weight, bias): (Tensor<B, 2>, Tensor<B, 1>)) -> Self {
        let convs = convs.into_iter().map(|(weight, bias)| (weight, channel_bias(bias))).collect();
        Self { convs, fc: (weight.transpose(), bias.unsqueeze()) }
    }

    /// Maps images `[batch, 3, h, w]` in [-1, 1] to features `[batch, 704]`. Images are resized to 32x32.
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let maps = self.maps(images);
        let (weight, bias) = self.fc.clone();
        let last = elu(pooled(maps[3].clone()).matmul(weight) + bias);
        Tensor::cat(vec![pooled(maps[1].clone()), pooled(maps[2].clone()), last], 1)
    }

    /// The outputs of the four convolutions for images `[batch, 3, h, w]` in [-1, 1].
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut x = bilinear(images.mean_dim(1), SIZE, SIZE);
        let mut maps = Vec::new();
        for ((weight, bias), (_, _, stride, padding)) in self.convs.iter().zip(CONVS) {
            x = elu(correlate(x, weight.clone(), stride, padding) + bias.clone());
            maps.push(x.clone());
        }
        maps
    }
}

/// ELU, with a gradient that stays finite for large inputs.
fn elu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    relu(x.clone()) + x.clamp_max(0.0).exp().sub_scalar(1.0)
}

/// Adaptive average pool to 2x2 of an even-sized map, flattened (channel, y, x).
fn pooled<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, GRID, h / GRID, GRID, w / GRID]).mean_dim(3).mean_dim(5).reshape([n, c * GRID * GRID])
}
