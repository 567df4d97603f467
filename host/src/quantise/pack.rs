//! Turns a float generator into a pack in one call.

use std::ops::Range;

use nickeldime_checkpoint::GeneratorWeights;
use nickeldime_core::{
    generator::{GenerateError, Latent, Sample},
    pack::{NoiseKind, Pack, PackError, WeightWidth},
};

use super::{
    budget::choose_16_bit_layers,
    calibrate::LOOKS,
    fidelity::{Fidelity, psnr},
    write::{PackFile, PackOptions, PackWriteError, write_pack},
};
use crate::{
    draw::{DrawError, Latents, NoiseMode, Preview, device_noise, render},
    progress::Progress,
};

/// The psi 1.0 in the device's Q14.
const PSI_ONE: i16 = 1 << 14;
/// Numbers of latents for calibration: the most, for images of up to 64x64, and the fewest. An image of more pixels has as
/// much more to look at, so as many fewer of them say the same.
const CALIBRATION_SEEDS: std::ops::RangeInclusive<usize> = 96..=256;
/// Seeds of the latents that the fidelity is measured on, which differ from those of the calibration.
const FIDELITY_SEEDS: std::ops::Range<u64> = 1_000_000..1_000_064;

/// Seeds of the latents that 16-bit weights are tried on, which differ from both.
const TRIAL_SEEDS: std::ops::Range<u64> = 2_000_000..2_000_008;

/// A pack, and its fidelity to the float generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The pack and its parts.
    pub file: PackFile,
    /// The signal-to-noise ratios of its images over 64 latents that were not used for calibration.
    pub fidelity: Fidelity,
}

/// Errors of packing a generator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackingError {
    /// The float generator could not draw, or was asked to stop.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The weights do not fit a pack.
    #[error(transparent)]
    Write(#[from] PackWriteError),
    /// The pack was written but does not open.
    #[error("{0}")]
    Pack(PackError),
    /// The pack was written but gives no image.
    #[error("{0}")]
    Generate(GenerateError),
}

impl PackOptions {
    /// Options for a pack whose default noise is this.
    pub fn for_noise(noise: NoiseMode) -> Self {
        let (noise, const_noise) = match noise {
            NoiseMode::None => (NoiseKind::None, None),
            NoiseMode::Const => (NoiseKind::Const, Some(WeightWidth::I8)),
            NoiseMode::Random => (NoiseKind::Random, None),
        };
        Self { noise, const_noise, ..Self::default() }
    }
}

/// Packs a generator: calibrates over 256 latents (fewer for large images), chooses the layers for which `extra_bytes` pay
/// for 16-bit weights, writes the pack, and compares its images with the float generator's.
///
/// # Errors
/// Weights that do not fit a pack; `progress` asked to stop.
pub fn pack(
    weights: &GeneratorWeights,
    mut options: PackOptions,
    noise: NoiseMode,
    extra_bytes: usize,
    progress: &mut dyn Progress,
) -> Result<Packed, PackingError> {
    let preview = Preview::new(weights)?;
    let resolution = weights.arch.resolution();
    let (few, many) = (*CALIBRATION_SEEDS.start(), *CALIBRATION_SEEDS.end());
    let images = (many * 64 * 64 / (resolution * resolution)).clamp(few, many);
    progress.begin("calibrating", "img", images as u64);
    let seeds: Vec<u64> = (0..images as u64).collect();
    // As many inputs in all, whatever the number of images.
    let calibration = preview.calibrate(&seeds, LOOKS * many / images, noise, &mut |done| progress.at(done as u64, ""));
    progress.end();
    if extra_bytes > 0 {
        let sight = FidelityReference::new(&preview, TRIAL_SEEDS, noise, "choosing", progress)?;
        options.sixteen_bit =
            choose_16_bit_layers(weights, &calibration, &options, extra_bytes, &mut |pack| sight.squared_error(pack))?;
    }
    let file = write_pack(weights, &calibration, &options)?;
    let pack = Pack::open(&file.bytes).map_err(PackingError::Pack)?;
    let ratios = FidelityReference::new(&preview, FIDELITY_SEEDS, noise, "comparing", progress)?.ratios(&pack)?;
    let fidelity = Fidelity::of(&ratios).unwrap_or(Fidelity { mean_db: f64::NAN, worst_db: f64::NAN, images: 0 });
    Ok(Packed { file, fidelity })
}

/// The float generator's images, which a pack's images are compared with.
struct FidelityReference {
    floats: Vec<Vec<f32>>,
    latents: Latents,
    noise: NoiseMode,
}

impl FidelityReference {
    fn new(
        preview: &Preview,
        seeds: Range<u64>,
        noise: NoiseMode,
        what: &str,
        progress: &mut dyn Progress,
    ) -> Result<Self, PackingError> {
        let latents = Latents::Seeds(seeds.collect());
        progress.begin(what, "img", latents.len() as u64);
        let floats = preview.images(&latents, 1.0, noise, &mut |done| {
            progress.at(done as u64, "");
            !progress.stopped()
        })?;
        progress.end();
        Ok(Self { floats, latents, noise })
    }

    /// The PSNR of every image, in dB.
    fn ratios(&self, pack: &Pack<'_>) -> Result<Vec<f64>, PackingError> {
        let ratio = |(i, float): (usize, &Vec<f32>)| {
            let seed = self.latents.seed(i);
            let sample = Sample { latent: Latent::Seed(seed), psi: PSI_ONE, noise: device_noise(self.noise, seed) };
            Ok(psnr(&render(pack, &sample).map_err(PackingError::Generate)?, float, pack.channels()))
        };
        self.floats.iter().enumerate().map(ratio).collect()
    }

    /// The mean squared error over the images, where white is 1.
    fn squared_error(&self, pack: &[u8]) -> Result<f64, PackingError> {
        let ratios = self.ratios(&Pack::open(pack).map_err(PackingError::Pack)?)?;
        Ok(ratios.iter().map(|db| 10f64.powf(-db / 10.0)).sum::<f64>() / ratios.len() as f64)
    }
}
