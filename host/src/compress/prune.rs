//! Pruning: which channels go, and the network without them (`method.md` section 2).
//!
//! Feature map `l` is the input of convolution `l` in the order b4.conv1, b8.conv0, b8.conv1, ...; the last one is the
//! output of the last convolution. One mask for each: it cuts the producing convolution's outputs and bias, the
//! consuming convolution's inputs and style rows, the toRGB that reads the map, and (the first) the constant.

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

/// Share of the masked pixels that the content-aware criterion replaces.
const NOISE_PROBABILITY: f64 = 0.05;

/// One score for each channel of each feature map; the lowest go.
pub type Scores = Vec<Vec<f32>>;

/// For each feature map the channels that stay, in ascending order.
pub type Kept = Vec<Vec<usize>>;

/// The convolutions in order: block and name (`("b8", "conv0")`).
fn convolutions(arch: &GeneratorArch) -> Vec<String> {
    let names = (0..arch.channels.len()).flat_map(|i| {
        let block = block_resolution(i);
        let first = (i > 0).then(|| format!("b{block}.conv0"));
        first.into_iter().chain([format!("b{block}.conv1")])
    });
    names.collect()
}

/// The name of the weight that reads each feature map: the convolutions, then the last toRGB.
fn readers(arch: &GeneratorArch) -> Vec<String> {
    let last = format!("b{}.torgb", arch.resolution());
    let layers = convolutions(arch).into_iter().chain([last]);
    layers.map(|l| format!("synthesis.{l}.weight")).collect()
}

/// Scores by the mean size of the given tensors over output channels and taps: of the weights themselves it is the
/// magnitude criterion, of gradients the content-aware one.
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

/// The control: scores that mean nothing.
pub fn random(arch: &GeneratorArch, seed: u64) -> Scores {
    let sizes = map_sizes(arch);
    let mut stream = Stream::new(seed, "random pruning", 0);
    sizes.iter().map(|&size| (0..size).map(|_| stream.uniform() as f32).collect()).collect()
}

/// Channels of each feature map.
pub(super) fn map_sizes(arch: &GeneratorArch) -> Vec<usize> {
    // The constant has the first block's channels, and so have the maps that the block makes.
    let made = (0..arch.channels.len()).flat_map(|i| {
        let count = if i == 0 { 1 } else { 2 };
        std::iter::repeat_n(arch.channels[i], count)
    });
    std::iter::once(arch.channels[0]).chain(made).collect()
}

/// Salt-and-pepper noise over an image: where, and which sign.
#[derive(Debug, Clone)]
pub struct SaltAndPepper {
    /// 1 where a pixel is replaced, else 0: `[batch, height, width]`, row-major.
    pub replaced: Vec<f32>,
    /// What it is replaced by in all colours, +1 or -1.
    pub sign: Vec<f32>,
}

impl SaltAndPepper {
    /// Noise inside `mask` (true: content), one entry a pixel.
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

/// Adds the content-aware scores of one batch `z` `[batch, z_dim]` to `scores`: the mean size of the gradient of
/// `sum |noisy - image|`, the noisy image being a constant. Returns the loss.
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
    /// Images to score.
    pub samples: usize,
    /// Images at a time.
    pub batch: usize,
    /// Of the salt and pepper; the images are those of the latent seeds 0, 1, ...
    pub seed: u64,
    /// Content masks `[height * width]`, of the image of seed 0, 1, ...; one alone serves all, none is the whole image.
    pub masks: Vec<Vec<bool>>,
}

impl ContentAware {
    /// Scores of all samples. `going_on` is told how many are done; `None` when it answers that it is to stop.
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

/// The channels that stay at ratio `ratio`: of each feature map with `C` channels all but the `floor(C ratio)` with the
/// lowest scores.
///
/// # Errors
/// A ratio outside [0, 1).
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

/// The generator with only the `kept` channels, its weights unscaled.
///
/// # Errors
/// A ratio outside [0, 1).
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
