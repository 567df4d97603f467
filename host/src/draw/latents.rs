//! What images are drawn from: latents, and the noise.

use ndarray::{Array2, Array3};
use nickeldime_core::generator::{Join, Noise};
use nickeldime_core::pack::NoiseKind;

/// What images are drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Latents {
    /// The device's own latents.
    Seeds(Vec<u64>),
    /// The latents of StyleGAN2-ADA's own tools: `numpy.random.RandomState(seed).randn(1, z_dim)`.
    NumpySeeds(Vec<u32>),
    /// z, `[images, z_dim]`.
    Z(Array2<f32>),
    /// w, `[images, w_dim]`, the same for every layer. Truncation has no effect on them.
    W(Array2<f32>),
    /// w for every layer, `[images, num_ws, w_dim]`. Truncation has no effect on them.
    LayerW(Array3<f32>),
    /// Two of the device's own latents an image, mapped and truncated each, and what is made of the two.
    Pairs {
        /// Of the first and the second, `[images]`.
        seeds: Vec<[u64; 2]>,
        /// Style mixing or interpolation.
        join: Join,
    },
}

impl Latents {
    /// How many images they make.
    pub fn len(&self) -> usize {
        match self {
            Self::Seeds(seeds) => seeds.len(),
            Self::NumpySeeds(seeds) => seeds.len(),
            Self::LayerW(layers) => layers.dim().0,
            Self::Z(rows) | Self::W(rows) => rows.nrows(),
            Self::Pairs { seeds, .. } => seeds.len(),
        }
    }

    /// Whether they make none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed of the noise of image `index`: its own, the first of two, or (for z and w) its number.
    pub fn seed(&self, index: usize) -> u64 {
        match self {
            Self::Seeds(seeds) => seeds[index],
            Self::NumpySeeds(seeds) => seeds[index].into(),
            Self::Z(_) | Self::W(_) | Self::LayerW(_) => index as u64,
            Self::Pairs { seeds, .. } => seeds[index][0],
        }
    }
}

/// What is added to the feature maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseMode {
    /// Nothing.
    None,
    /// The stored maps.
    Const,
    /// The device's random noise, by each image's seed.
    Random,
}

/// What a pack was made to be shown with.
impl From<NoiseKind> for NoiseMode {
    fn from(kind: NoiseKind) -> Self {
        match kind {
            NoiseKind::None => Self::None,
            NoiseKind::Const => Self::Const,
            NoiseKind::Random => Self::Random,
        }
    }
}

/// A noise mode as the device takes it; `seed` is that of random noise.
pub fn device_noise(mode: NoiseMode, seed: u64) -> Noise {
    match mode {
        NoiseMode::None => Noise::None,
        NoiseMode::Const => Noise::Const,
        NoiseMode::Random => Noise::Random(seed),
    }
}
