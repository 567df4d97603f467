//! Convolutions into which the batch norm that follows is folded, as is possible in a frozen network.

use burn::tensor::{Tensor, TensorData, activation::relu, backend::Backend, module::conv2d, ops::ConvOptions};
use ndarray::ArrayD;
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

use crate::nets::names::LoadError;

/// A convolution with its batch norm, as named in a file.
#[derive(Debug, Clone)]
pub struct ConvSpec {
    /// The convolution's name; its tensor is this name with `.weight`.
    pub conv: String,
    /// The batch norm's name; its tensors add `.weight`, `.bias`, `.running_mean` and `.running_var`.
    pub norm: String,
    /// The shape of the weight, `[out, in, height, width]`.
    pub shape: [usize; 4],
    /// The stride in both directions.
    pub stride: usize,
    /// The padding with zeros on every side, `[height, width]`.
    pub padding: [usize; 2],
}

/// The suffixes of a batch norm's tensors.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

impl ConvSpec {
    /// Adds the convolution's tensors to a list of names and shapes.
    pub fn tensors(&self, shapes: &mut Shapes) {
        shapes.insert(format!("{}.weight", self.conv), self.shape.to_vec());
        for part in NORM {
            shapes.insert(format!("{}.{part}", self.norm), vec![self.shape[0]]);
        }
    }
}

/// A convolution with a bias.
#[derive(Debug, Clone)]
pub struct Conv<B: Backend> {
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    options: ConvOptions<2>,
}

impl<B: Backend> Conv<B> {
    /// Folds the batch norm into the convolution: `w' = w g / sqrt(var + eps)`, `b' = b - mean g / sqrt(var + eps)`,
    /// channel by channel.
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn folded(spec: &ConvSpec, epsilon: f64, tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        let [channels, ..] = spec.shape;
        let mut norm = NORM.iter().map(|part| values(tensors, &format!("{}.{part}", spec.norm), &[channels]));
        let mut next = || norm.next().unwrap_or(Ok(Vec::new()));
        let (gain, bias, mean, variance) = (next()?, next()?, next()?, next()?);
        let mut weight = values(tensors, &format!("{}.weight", spec.conv), &spec.shape)?;
        let taps = weight.len() / channels.max(1);
        let mut folded = Vec::with_capacity(channels);
        for (channel, weights) in weight.chunks_exact_mut(taps.max(1)).enumerate() {
            let scale = f64::from(gain[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
            for w in weights {
                *w = (f64::from(*w) * scale) as f32;
            }
            folded.push((f64::from(bias[channel]) - f64::from(mean[channel]) * scale) as f32);
        }
        Ok(Self {
            weight: Tensor::from_data(TensorData::new(weight, spec.shape), device),
            bias: Tensor::from_data(TensorData::new(folded, [channels]), device),
            options: ConvOptions::new([spec.stride; 2], spec.padding, [1, 1], 1),
        })
    }

    /// Applies the convolution: `[batch, in, h, w]` to `[batch, out, h', w']`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        conv2d(x, self.weight.clone(), Some(self.bias.clone()), self.options.clone())
    }

    /// Applies the convolution and ReLU.
    pub fn active(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        relu(self.forward(x))
    }
}

/// The numbers of the tensor with this name.
///
/// # Errors
/// The tensor is missing or has another size.
pub fn values(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
    match tensors.get(name) {
        Some(array) if array.shape() == shape => Ok(array.iter().copied().collect()),
        found => {
            Err(LoadError { name: name.into(), expected: shape.iter().product(), found: found.map_or(0, ArrayD::len) })
        }
    }
}

/// The tensor with this name.
///
/// # Errors
/// The tensor is missing or has another size.
pub fn tensor<B: Backend, const D: usize>(
    tensors: &Tensors,
    name: &str,
    shape: [usize; D],
    device: &B::Device,
) -> Result<Tensor<B, D>, LoadError> {
    Ok(Tensor::from_data(TensorData::new(values(tensors, name, &shape)?, shape), device))
}

/// The mean over all pixels, as `[batch, channels]`.
pub fn global_mean<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c])
}
