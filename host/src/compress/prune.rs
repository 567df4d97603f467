//! Pruning: chooses the channels to remove and builds the network without them (`docs/method.md` section 2).
//!
//! Feature map `l` is the input of convolution `l` in the order b4.conv1, b8.conv0, b8.conv1, ...; the last one is the
//! output of the last convolution. Each feature map has one mask. The mask cuts the outputs and the bias of the
//! convolution that makes the map, the inputs and style rows of the convolution that reads it, and the toRGB that reads
//! it. The first mask also cuts the constant.

use burn::{
    optim::GradientsParams,
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};
use ndarray::{ArrayD, Axis};
use nickeldime_checkpoint::{
    model::{
        arch::{ArchError, GeneratorArch, block_resolution},
        weights::{GeneratorWeights, Tensors},
    },
    random::Stream,
};

use crate::nets::{
    draws::latents,
    generator::{Generator, Noise},
    names::{self, LoadError},
};

/// The share of the masked pixels that the content-aware criterion replaces by noise.
const NOISE_PROBABILITY: f64 = 0.05;

/// One score for each channel of each feature map. The channels with the lowest scores are removed.
pub type Scores = Vec<Vec<f32>>;

/// The channels that stay, in ascending order, for each feature map.
pub type Kept = Vec<Vec<usize>>;

/// The convolutions in order, each as block and name (`("b8", "conv0")`).
fn convolutions(arch: &GeneratorArch) -> Vec<String> {
    let names = (0..arch.channels.len()).flat_map(|i| {
        let block = block_resolution(i);
        let first = (i > 0).then(|| format!("b{block}.conv0"));
        first.into_iter().chain([format!("b{block}.conv1")])
    });
    names.collect()
}

/// For each feature map the name of the weight that reads it: a convolution's, or for the last map the last toRGB's.
fn readers(arch: &GeneratorArch) -> Vec<String> {
    let last = format!("b{}.torgb", arch.resolution());
    let layers = convolutions(arch).into_iter().chain([last]);
    layers.map(|l| format!("synthesis.{l}.weight")).collect()
}

/// Scores by the mean absolute value of the given tensors over output channels and taps. With the weights themselves
/// this is the magnitude criterion, with gradients the content-aware one.
///
/// # Panics
/// If `tensors` lacks a weight of `arch`.
pub fn input_channel_means(arch: &GeneratorArch, tensors: &Tensors) -> Scores {
    let mean = |weight: &ArrayD<f32>| {
        let by_input = weight.axis_iter(Axis(1));
        by_input.map(|channel| channel.iter().map(|x| x.abs()).sum::<f32>() / channel.len() as f32).collect()
    };
    readers(arch).iter().map(|name| mean(&tensors[name])).collect()
}

/// Random scores, as a control.
pub fn random(arch: &GeneratorArch, seed: u64) -> Scores {
    let sizes = map_sizes(arch);
    let mut stream = Stream::new(seed, "random pruning", 0);
    sizes.iter().map(|&size| (0..size).map(|_| stream.uniform() as f32).collect()).collect()
}

/// The number of channels of each feature map.
pub(super) fn map_sizes(arch: &GeneratorArch) -> Vec<usize> {
    // The constant has the first block's channels, and so have the maps that the block makes.
    let made = (0..arch.channels.len()).flat_map(|i| {
        let count = if i == 0 { 1 } else { 2 };
        std::iter::repeat_n(arch.channels[i], count)
    });
    std::iter::once(arch.channels[0]).chain(made).collect()
}

/// Salt-and-pepper noise for a batch of images.
#[derive(Debug, Clone)]
pub struct SaltAndPepper {
    /// 1 for each pixel that is replaced, else 0: `[batch, height, width]`, row-major.
    pub replaced: Vec<f32>,
    /// The value that replaces the pixel in all colours: +1 or -1.
    pub sign: Vec<f32>,
}

impl SaltAndPepper {
    /// Noise on those pixels for which `mask`, with one entry for each pixel, is true.
    pub fn inside(mask: impl Iterator<Item = bool>, stream: &mut Stream) -> Self {
        let (mut replaced, mut sign) = (Vec::new(), Vec::new());
        for content in mask {
            let hit = stream.uniform() < NOISE_PROBABILITY;
            replaced.push(f32::from(u8::from(content && hit)));
            sign.push(if stream.uniform() < 0.5 { 1.0 } else { -1.0 });
        }
        Self { replaced, sign }
    }
}

/// Adds the content-aware scores of one batch `z` `[batch, z_dim]` to `scores`: the mean absolute gradient of `sum
/// |noisy - image|`, in which the noisy image is a constant. Returns the loss.
pub fn content_aware_batch<A: AutodiffBackend>(
    generator: &Generator<A>,
    arch: &GeneratorArch,
    z: Tensor<A, 2>,
    noise: &SaltAndPepper,
    scores: &mut Scores,
) -> f32 {
    let [batch, _] = z.dims();
    let size = arch.resolution();
    let device = z.device();
    let plane = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [batch, 1, size, size]);
        Tensor::<A, 4>::from_data(data, &device)
    };
    let image = generator.synthesise(generator.ws(z), &Noise::Const);
    // Pixels that are not replaced are equal in both images: they add nothing to the loss nor to its gradient.
    let difference = (plane(&noise.sign) - image) * plane(&noise.replaced);
    let loss = difference.abs().sum();
    let value = loss.clone().into_data().iter::<f32>().sum();
    let grads = GradientsParams::from_grads(loss.backward(), generator);
    let grads = names::gradients(generator, &grads);
    for (sum, batch) in scores.iter_mut().zip(input_channel_means(arch, &grads)) {
        for (sum, score) in sum.iter_mut().zip(batch) {
            *sum += score;
        }
    }
    value
}

/// Settings of the content-aware criterion.
#[derive(Debug, Clone)]
pub struct ContentAware {
    /// The number of images to score.
    pub samples: usize,
    /// The batch size.
    pub batch: usize,
    /// The seed of the salt-and-pepper noise. The images have the latent seeds 0, 1, ...
    pub seed: u64,
    /// Content masks `[height * width]` for the images of seeds 0, 1, ... A single mask serves all images; without
    /// masks the content is the whole image.
    pub masks: Vec<Vec<bool>>,
}

impl ContentAware {
    /// The scores over all samples. `going_on` is called with the number of samples done; if it returns false, the
    /// result is `None`.
    ///
    /// # Errors
    /// A weight that does not fit the architecture.
    pub fn scores<A: AutodiffBackend>(
        &self,
        weights: &GeneratorWeights,
        device: &A::Device,
        mut going_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Scores>, LoadError> {
        let arch = &weights.arch;
        let generator = names::load(Generator::<A>::new(arch, device), &weights.tensors)?;
        let mut scores: Scores = map_sizes(arch).iter().map(|&c| vec![0.0; c]).collect();
        let pixels = arch.resolution().pow(2);
        for start in (0..self.samples).step_by(self.batch) {
            let seeds: Vec<u64> = (start..self.samples.min(start + self.batch)).map(|i| i as u64).collect();
            let mut stream = Stream::new(self.seed, "salt and pepper", start as u64);
            let content = seeds.iter().flat_map(|&seed| {
                let mask = match self.masks.len() {
                    0 => None,
                    1 => self.masks.first(),
                    _ => self.masks.get(seed as usize),
                };
                (0..pixels).map(move |p| mask.is_none_or(|m| m.get(p).copied().unwrap_or(false)))
            });
            let noise = SaltAndPepper::inside(content, &mut stream);
            let z = latents(&seeds, arch.z_dim, device);
            content_aware_batch(&generator, arch, z, &noise, &mut scores);
            if !going_on(start + seeds.len()) {
                return Ok(None);
            }
        }
        Ok(Some(scores))
    }
}

/// The channels that stay at pruning ratio `ratio`: of each feature map with `C` channels, all but the `floor(C ratio)`
/// with the lowest scores.
///
/// # Errors
/// The ratio is outside [0, 1).
pub fn kept(arch: &GeneratorArch, scores: &Scores, ratio: f64) -> Result<Kept, ArchError> {
    let counts = map_sizes(&arch.pruned(ratio)?);
    let kept = scores.iter().zip(counts).map(|(scores, count)| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut kept = order.split_off(scores.len() - count);
        kept.sort_unstable();
        kept
    });
    Ok(kept.collect())
}

/// The generator with only the `kept` channels. The remaining weights are unchanged.
///
/// # Errors
/// The ratio is outside [0, 1).
pub fn cut(weights: &GeneratorWeights, kept: &Kept, ratio: f64) -> Result<GeneratorWeights, ArchError> {
    let mut tensors = weights.tensors.clone();
    let mut select = |name: String, axis: usize, kept: &[usize]| {
        if let Some(tensor) = tensors.get_mut(&name) {
            *tensor = tensor.select(Axis(axis), kept);
        }
    };
    select("synthesis.b4.const".into(), 0, &kept[0]);
    for (l, layer) in convolutions(&weights.arch).iter().enumerate() {
        select(format!("synthesis.{layer}.weight"), 1, &kept[l]);
        select(format!("synthesis.{layer}.affine.weight"), 0, &kept[l]);
        select(format!("synthesis.{layer}.affine.bias"), 0, &kept[l]);
        select(format!("synthesis.{layer}.weight"), 0, &kept[l + 1]);
        select(format!("synthesis.{layer}.bias"), 0, &kept[l + 1]);
    }
    for block in 0..weights.arch.channels.len() {
        let torgb = format!("synthesis.b{}.torgb", block_resolution(block));
        let kept = &kept[2 * block + 1];
        select(format!("{torgb}.weight"), 1, kept);
        select(format!("{torgb}.affine.weight"), 0, kept);
        select(format!("{torgb}.affine.bias"), 0, kept);
    }
    Ok(GeneratorWeights { arch: weights.arch.pruned(ratio)?, tensors })
}
