//! Trains a small in-domain embedder, for users without DINO or CLIP files and for images far from ImageNet. If every
//! image has a label, the embedder learns to classify. Otherwise it learns by VICReg, which makes the features of two
//! distorted views of an image equal and the features of different images varied and uncorrelated.

use std::collections::BTreeSet;

use burn::{
    module::{AutodiffModule, Module, Param},
    tensor::{
        Tensor, TensorData,
        activation::{log_softmax, relu},
        backend::{AutodiffBackend, Backend},
    },
};
use ndarray::{Array4, ArrayD, IxDyn};
use nickeldime_checkpoint::{model::weights::Tensors, random::Stream};

use super::{error::CompressError, optimise::LazyAdam};
use crate::{
    data::Dataset,
    embed::small::{CONVS, FC, Small},
    nets::draws,
    progress::Progress,
};

/// The number of features that the head reads: the last ones of the network.
const READ: usize = FC[0];
/// VICReg's weights for invariance, variance and covariance.
const VICREG: [f32; 3] = [25.0, 25.0, 1.0];
/// One image in this many is held out to measure the accuracy.
const HELD_OUT: usize = 10;

/// The default batch size.
pub const BATCH: usize = 64;
/// The default learning rate of Adam.
pub const LR: f64 = 0.001;

/// Settings of an embedder's training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InDomain {
    /// The length of the training, in thousands of images.
    pub kimg: f64,
    /// The batch size; at least 2.
    pub batch: usize,
    /// Adam's learning rate.
    pub lr: f64,
    /// True if images are mirrored at random.
    pub mirror: bool,
    /// The seed of every random choice of the training.
    pub seed: u64,
}

/// A trained embedder and its measurements.
#[derive(Debug, Clone)]
pub struct Learned {
    /// The embedder's tensors, named as in a `small` file.
    pub tensors: Tensors,
    /// The number of classes that it was trained on; `None` for a training without labels.
    pub classes: Option<usize>,
    /// The accuracy on held-out images, from 0 to 1; `None` for a training without labels.
    pub accuracy: Option<f64>,
    /// The last iteration's loss.
    pub loss: f32,
    /// The number of images that the training used.
    pub images: u64,
}

#[derive(Module, Debug)]
struct Kernels<B: Backend> {
    weight: Param<Tensor<B, 4>>,
    bias: Param<Tensor<B, 1>>,
}

#[derive(Module, Debug)]
struct Linear<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
}

/// The network in training, with a linear head into the classes or into VICReg's space.
#[derive(Module, Debug)]
struct Pupil<B: Backend> {
    convs: Vec<Kernels<B>>,
    fc: Linear<B>,
    head: Linear<B>,
}

/// Initial weights: N(0, 2 / inputs) with biases of 0.
fn initial<B: Backend, const D: usize>(
    shape: [usize; D],
    stream: &mut Stream,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let inputs: usize = shape.iter().skip(1).product();
    Param::from_tensor(draws::normal(stream, shape, device).mul_scalar((2.0 / inputs as f32).sqrt()))
}

fn zeros<B: Backend>(count: usize, device: &B::Device) -> Param<Tensor<B, 1>> {
    Param::from_tensor(Tensor::zeros([count], device))
}

impl<B: Backend> Pupil<B> {
    fn new(outputs: usize, seed: u64, device: &B::Device) -> Self {
        let mut stream = Stream::new(seed, "initial embedder", 0);
        let convs = CONVS.iter().map(|&(_, shape, ..)| Kernels {
            weight: initial(shape, &mut stream, device),
            bias: zeros(shape[0], device),
        });
        let convs = convs.collect();
        let mut linear =
            |shape: [usize; 2]| Linear { weight: initial(shape, &mut stream, device), bias: zeros(shape[0], device) };
        Self { convs, fc: linear(FC), head: linear([outputs, READ]) }
    }

    fn small(&self) -> Small<B> {
        let convs = self.convs.iter().map(|conv| (conv.weight.val(), conv.bias.val())).collect();
        Small::from_parts(convs, (self.fc.weight.val(), self.fc.bias.val()))
    }

    /// The head's outputs, `[batch, outputs]`.
    fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let features = self.small().features(images);
        let [_, all] = features.dims();
        let read = features.narrow(1, all - READ, READ);
        read.matmul(self.head.weight.val().transpose()) + self.head.bias.val().unsqueeze()
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = Tensors::new();
        for (conv, (name, ..)) in self.convs.iter().zip(CONVS) {
            put(&mut tensors, format!("{name}.weight"), conv.weight.val());
            put(&mut tensors, format!("{name}.bias"), conv.bias.val());
        }
        for (linear, name) in [(&self.fc, "fc"), (&self.head, "head")] {
            put(&mut tensors, format!("{name}.weight"), linear.weight.val());
            put(&mut tensors, format!("{name}.bias"), linear.bias.val());
        }
        tensors
    }
}

fn put<B: Backend, const D: usize>(tensors: &mut Tensors, name: String, tensor: Tensor<B, D>) {
    let shape = tensor.dims();
    if let Ok(array) = ArrayD::from_shape_vec(IxDyn(&shape), tensor.into_data().iter().collect()) {
        tensors.insert(name, array);
    }
}

/// The class of every image, numbered from 0 without gaps, and the number of classes. `None` if an image has no label
/// or if there are fewer than two classes.
fn classes(data: &Dataset) -> Option<(Vec<usize>, usize)> {
    let labels: Vec<u32> = (0..data.len()).map(|i| data.label(i)).collect::<Option<_>>()?;
    let known: BTreeSet<u32> = labels.iter().copied().collect();
    let place = |label| known.iter().position(|&l| l == label);
    let all: Option<Vec<usize>> = labels.into_iter().map(place).collect();
    all.filter(|_| known.len() > 1).map(|all| (all, known.len()))
}

/// Trains an embedder on a dataset.
///
/// # Errors
/// An image that cannot be read; `progress` asked to stop; numbers that are no longer finite.
pub fn train<A: AutodiffBackend>(
    data: &Dataset,
    settings: InDomain,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Learned, CompressError> {
    let InDomain { kimg, batch, lr, seed, .. } = settings;
    let classes = classes(data);
    let outputs = classes.as_ref().map_or(READ, |(_, count)| *count);
    let mut pupil = Pupil::<A>::new(outputs, seed, device);
    let mut adam = LazyAdam::new(lr, None);
    let (held_out, shown): (Vec<usize>, Vec<usize>) =
        (0..data.len()).partition(|i| classes.is_some() && data.len() > HELD_OUT && i % HELD_OUT == 0);
    let iterations = (kimg * 1000.0 / batch as f64).ceil() as u64;
    progress.begin("training an embedder", "img", iterations * batch as u64);
    let mut last = 0.0;
    for step in 0..iterations {
        let mut stream = Stream::new(seed, "embedder's images", step);
        let picked: Vec<usize> = (0..batch).map(|_| shown[stream.below(shown.len())]).collect();
        let mut view = || -> Result<Tensor<A, 4>, CompressError> {
            let flips: Vec<bool> = picked.iter().map(|_| settings.mirror && stream.uniform() < 0.5).collect();
            let images = data.batch(&picked, &flips)?;
            Ok(tensor(distorted(&images, &mut stream, classes.is_none()), device))
        };
        let loss = match &classes {
            Some((labels, count)) => {
                let mut wanted = vec![0f32; batch * count];
                for (row, &image) in picked.iter().enumerate() {
                    wanted[row * count + labels[image]] = 1.0;
                }
                let wanted = Tensor::from_data(TensorData::new(wanted, [batch, *count]), device);
                (log_softmax(pupil.forward(view()?), 1) * wanted).sum().div_scalar(-(batch as f32))
            }
            None => vicreg(pupil.forward(view()?), pupil.forward(view()?)),
        };
        last = loss.to_data().iter::<f32>().sum();
        if !last.is_finite() {
            return Err(CompressError::NotFinite(1));
        }
        (pupil, _) = adam.step(pupil, loss);
        progress.at((step + 1) * batch as u64, &format!("loss {last:.3}"));
        if progress.stopped() {
            return Err(CompressError::Stopped);
        }
    }
    progress.end();
    let pupil = pupil.valid();
    let accuracy = match &classes {
        Some((labels, _)) if !held_out.is_empty() => Some(accuracy(&pupil, data, labels, &held_out, device)?),
        _ => None,
    };
    let images = iterations * batch as u64;
    Ok(Learned { tensors: pupil.tensors(), classes: classes.map(|(_, count)| count), accuracy, loss: last, images })
}

/// VICReg's loss for the features `[batch, features]` of two views.
fn vicreg<B: Backend>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 1> {
    let [n, d] = a.dims();
    let [invariance, variance, covariance] = VICREG;
    let alike = (a.clone() - b.clone()).powi_scalar(2).mean();
    let others = Tensor::<B, 2>::eye(d, &a.device()).neg().add_scalar(1.0);
    let mut loss = alike.mul_scalar(invariance);
    for x in [a, b] {
        let x = x.clone() - x.mean_dim(0);
        let products = x.clone().transpose().matmul(x.clone()).div_scalar((n - 1).max(1) as f32);
        let spread = x.powi_scalar(2).sum_dim(0).div_scalar((n - 1).max(1) as f32).add_scalar(1e-4).sqrt();
        let narrow = relu(spread.neg().add_scalar(1.0)).mean();
        let related = (products * others.clone()).powi_scalar(2).sum().div_scalar(d as f32);
        loss = loss + narrow.mul_scalar(variance / 2.0) + related.mul_scalar(covariance);
    }
    loss
}

/// Distorts images: shifts them by up to a sixteenth of their size and changes contrast and brightness. With `much`,
/// the shift is up to twice as far and noise is added.
fn distorted(images: &Array4<f32>, stream: &mut Stream, much: bool) -> Array4<f32> {
    let (count, channels, height, width) = images.dim();
    let strength = if much { 2.0 } else { 1.0 };
    let reach = (height as f64 / 16.0 * strength).round().max(1.0) as usize;
    let mut out = images.clone();
    for n in 0..count {
        let (down, right) = (stream.below(2 * reach + 1), stream.below(2 * reach + 1));
        let contrast = 1.0 + (stream.uniform() as f32 - 0.5) * 0.2 * strength as f32;
        let brightness = (stream.uniform() as f32 - 0.5) * 0.2 * strength as f32;
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    // The edge goes on beyond the image.
                    let from_y = (y + down).saturating_sub(reach).min(height - 1);
                    let from_x = (x + right).saturating_sub(reach).min(width - 1);
                    out[[n, c, y, x]] = images[[n, c, from_y, from_x]] * contrast + brightness;
                }
            }
        }
    }
    if much {
        out.mapv_inplace(|x| x + 0.1 * stream.one_normal());
    }
    out
}

fn tensor<B: Backend>(images: Array4<f32>, device: &B::Device) -> Tensor<B, 4> {
    let shape = images.shape().to_vec();
    Tensor::from_data(TensorData::new(images.iter().copied().collect(), shape), device)
}

/// The accuracy: the share of images for which the right class has the largest output.
fn accuracy<B: Backend>(
    pupil: &Pupil<B>,
    data: &Dataset,
    labels: &[usize],
    images: &[usize],
    device: &B::Device,
) -> Result<f64, CompressError> {
    let mut right = 0;
    for chunk in images.chunks(64) {
        let outputs = pupil.forward(tensor(data.batch(chunk, &[])?, device));
        let [_, count] = outputs.dims();
        let outputs: Vec<f32> = outputs.into_data().iter().collect();
        for (row, &image) in outputs.chunks_exact(count).zip(chunk) {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class);
            right += usize::from(best == Some(labels[image]));
        }
    }
    Ok(right as f64 / images.len() as f64)
}
