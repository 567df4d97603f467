//! The inputs of drawing: latents, and the noise.

use ndarray::{Array2, Array3};
use nickeldime_core::generator::Noise;
use nickeldime_core::pack::NoiseKind;

use super::pairs::Pair;

/// The latents that images are drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Latents {
    /// Seeds of the device's own latents.
    Seeds(Vec<u64>),
    /// Seeds of the latents of StyleGAN2-ADA's own tools: `numpy.random.RandomState(seed).randn(1, z_dim)`.
    NumpySeeds(Vec<u32>),
    /// z itself, `[images, z_dim]`.
    Z(Array2<f32>),
    /// w itself, `[images, w_dim]`, the same for every layer. Truncation has no effect.
    W(Array2<f32>),
    /// A w for every layer, `[images, num_ws, w_dim]`. Truncation has no effect.
    LayerW(Array3<f32>),
    /// Two of the device's own latents for each image. Each is mapped and truncated, and the two ws are joined.
    Pairs(Vec<Pair>),
}

impl Latents {
    /// Number of images that the latents give.
    pub fn len(&self) -> usize {
        match self {
            Self::Seeds(seeds) => seeds.len(),
            Self::NumpySeeds(seeds) => seeds.len(),
            Self::LayerW(layers) => layers.dim().0,
            Self::Z(rows) | Self::W(rows) => rows.nrows(),
            Self::Pairs(pairs) => pairs.len(),
        }
    }

    /// True if there are no latents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed of the noise of image `index`: the image's own seed, that of a pair, or for z and w
    /// the index.
    pub fn seed(&self, index: usize) -> u64 {
        match self {
            Self::Seeds(seeds) => seeds[index],
            Self::NumpySeeds(seeds) => seeds[index].into(),
            Self::Z(_) | Self::W(_) | Self::LayerW(_) => index as u64,
            Self::Pairs(pairs) => pairs[index].noise,
        }
    }
}

/// The noise that is added to the feature maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseMode {
    /// No noise.
    None,
    /// The stored noise maps.
    Const,
    /// The device's random noise, with each image's seed.
    Random,
}

/// The noise mode of a pack's default noise.
impl From<NoiseKind> for NoiseMode {
    fn from(kind: NoiseKind) -> Self {
        match kind {
            NoiseKind::None => Self::None,
            NoiseKind::Const => Self::Const,
            NoiseKind::Random => Self::Random,
        }
    }
}

/// Converts a noise mode for the device; `seed` is used for random noise.
pub fn device_noise(mode: NoiseMode, seed: u64) -> Noise {
    match mode {
        NoiseMode::None => Noise::None,
        NoiseMode::Const => Noise::Const,
        NoiseMode::Random => Noise::Random(seed),
    }
}
