//! `nickeldime pack`: a float generator as a model pack.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, bail};
use nickeldime_checkpoint::{GeneratorWeights, files};
use nickeldime_core::{
    generator::{Latent, Ram, Sample},
    pack::{NoiseKind, Pack, WeightWidth},
};
use serde::Serialize;

use super::{model::Model, progress::Bar};
use crate::{
    boards::{
        self,
        fit::{self, Fit, Need},
    },
    draw::{Latents, NoiseMode, Preview, device_noise, render},
    hash::sha256,
    progress::Progress,
    quantise::{Fidelity, LayerReport, PackOptions, Parts, psnr, spend, write_pack},
};

/// psi = 1 in the device's Q14.
const PSI_ONE: i16 = 1 << 14;
/// Latents that the activations' ranges are taken over.
const CALIBRATION_SEEDS: u64 = 256;
/// Latents that the fidelity is measured on; others than those of the calibration.
const FIDELITY_SEEDS: std::ops::Range<u64> = 1_000_000..1_000_064;

/// Latents that wider weights are tried on; others again.
const TRIAL_SEEDS: std::ops::Range<u64> = 2_000_000..2_000_008;

/// Arguments of `pack`.
#[derive(clap::Args)]
pub struct PackArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), or a run's folder, whose newest student is packed.
    model: PathBuf,
    /// The pack to write.
    #[arg(short, long)]
    output: PathBuf,
    /// The model's name, shown to people; at most 64 bytes. Default: the model's file name.
    #[arg(long)]
    name: Option<String>,
    /// The device's default noise. `const` also stores the noise maps.
    #[arg(long, value_enum, default_value = "const")]
    noise: NoiseMode,
    /// Refuse a model that does not fit this board, and print how long its images take there.
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// The number of bits of the mapping network's weights.
    #[arg(long, value_parser = ["8", "16"], default_value = "16")]
    mapping_bits: String,
    /// The number of further bytes to spend on 16-bit weights, in the layers whose rounding changes the images most.
    #[arg(long, value_name = "N", default_value_t = 0)]
    extra_bytes: usize,
}

/// What was packed.
#[derive(Debug, Clone, Serialize)]
pub struct Packed {
    pub pack: PathBuf,
    pub pack_bytes: usize,
    pub parts: Parts,
    /// In the pack's order.
    pub layers: Vec<LayerReport>,
    pub ram_bytes: usize,
    /// The same by part.
    pub ram: RamParts,
    pub psnr_db: f64,
    pub psnr_worst_db: f64,
    pub psnr_images: usize,
    /// Of the file, as `send` and `devices` say it.
    pub sha256: String,
    /// What it needs of a board.
    #[serde(skip)]
    pub need: Need,
    /// How it stands to the board that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
}

pub fn run(args: &PackArgs, json: bool) -> anyhow::Result<()> {
    let Model::Checkpoint(checkpoint) = Model::open(&args.model)? else {
        bail!("{}: is a pack already", args.model.display());
    };
    let stem = args.model.file_stem().map(|s| s.to_string_lossy().into_owned());
    let mapping = if args.mapping_bits == "8" { WeightWidth::I8 } else { WeightWidth::I16 };
    let options =
        PackOptions { name: args.name.clone().or(stem).unwrap_or_default(), mapping, ..noise_options(args.noise) };
    let board = args.board.as_deref().map(boards::find).transpose()?;
    if let Some(board) = &board {
        fit::check(board, &checkpoint.generator.arch, 0.0, &options)
            .with_context(|| format!("{} as it is", args.model.display()))?;
    }
    let mut packed = pack(&checkpoint.generator, options, args.noise, args.extra_bytes, &args.output, &mut Bar::new())?;
    packed.fit = board.map(|board| fit::fit(&board, &packed.need));
    super::print(json, &packed, || packed.text())
}

/// The packer's options for a noise mode.
pub fn noise_options(noise: NoiseMode) -> PackOptions {
    let (noise, const_noise) = match noise {
        NoiseMode::None => (NoiseKind::None, None),
        NoiseMode::Const => (NoiseKind::Const, Some(WeightWidth::I8)),
        NoiseMode::Random => (NoiseKind::Random, None),
    };
    PackOptions { noise, const_noise, ..PackOptions::default() }
}

/// Calibrates, quantises, with so many extra bytes for wider weights, writes, and measures against the float generator.
pub fn pack(
    weights: &GeneratorWeights,
    mut options: PackOptions,
    noise: NoiseMode,
    extra_bytes: usize,
    output: &std::path::Path,
    progress: &mut dyn Progress,
) -> anyhow::Result<Packed> {
    let preview = Preview::new(weights)?;
    progress.begin("calibrating", "img", CALIBRATION_SEEDS);
    let seeds: Vec<u64> = (0..CALIBRATION_SEEDS).collect();
    let calibration = preview.calibrate(&seeds, noise, &mut |done| progress.at(done as u64, ""));
    progress.end();
    if extra_bytes > 0 {
        let sight = Sight::new(&preview, TRIAL_SEEDS, noise, "choosing", progress)?;
        options.wide = spend(weights, &calibration, &options, extra_bytes, &mut |pack| sight.squared_error(pack))?;
    }
    let file = write_pack(weights, &calibration, &options)?;
    files::replace(output, |out| out.write_all(&file.bytes)).with_context(|| format!("{}", output.display()))?;

    let pack = Pack::open(&file.bytes)?;
    let ratios = Sight::new(&preview, FIDELITY_SEEDS, noise, "comparing", progress)?.ratios(&pack)?;
    let fidelity = Fidelity::of(&ratios).context("no image to compare")?;
    Ok(Packed {
        pack: output.into(),
        pack_bytes: file.bytes.len(),
        parts: file.parts,
        layers: file.layers,
        ram_bytes: pack.ram().total(),
        ram: pack.ram().into(),
        psnr_db: fidelity.mean_db,
        psnr_worst_db: fidelity.worst_db,
        psnr_images: fidelity.images,
        sha256: sha256(&file.bytes),
        need: Need::of_pack(&pack),
        fit: None,
    })
}

/// What a pack's images are compared with.
struct Sight {
    floats: Vec<Vec<f32>>,
    latents: Latents,
    noise: NoiseMode,
}

impl Sight {
    fn new(
        preview: &Preview,
        seeds: std::ops::Range<u64>,
        noise: NoiseMode,
        what: &str,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<Self> {
        let latents = Latents::Seeds(seeds.collect());
        progress.begin(what, "img", latents.len() as u64);
        let floats = preview.images(&latents, 1.0, noise, &mut |done| {
            progress.at(done as u64, "");
            !progress.stopped()
        })?;
        progress.end();
        Ok(Self { floats, latents, noise })
    }

    /// The ratio of every image.
    fn ratios(&self, pack: &Pack<'_>) -> anyhow::Result<Vec<f64>> {
        let ratio = |(i, float): (usize, &Vec<f32>)| {
            let seed = self.latents.seed(i);
            let sample = Sample { latent: Latent::Seed(seed), psi: PSI_ONE, noise: device_noise(self.noise, seed) };
            Ok(psnr(&render(pack, &sample)?, float))
        };
        self.floats.iter().enumerate().map(ratio).collect()
    }

    /// Mean over the images, relative to white.
    fn squared_error(&self, pack: &[u8]) -> anyhow::Result<f64> {
        let ratios = self.ratios(&Pack::open(pack)?)?;
        Ok(ratios.iter().map(|db| 10f64.powf(-db / 10.0)).sum::<f64>() / ratios.len() as f64)
    }
}

/// The memory that an image takes on a device by part, its stack left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RamParts {
    /// Feature rows that wait for their neighbours.
    rows: usize,
    /// Rows of the smaller images.
    image: usize,
    /// Rows in the making.
    scratch: usize,
    styles: usize,
    /// Demodulation factors.
    factors: usize,
    /// What the mapping needs beyond these.
    mapping: usize,
}

impl From<Ram> for RamParts {
    fn from(Ram { rows, image, scratch, styles, factors, mapping }: Ram) -> Self {
        Self { rows, image, scratch, styles, factors, mapping }
    }
}

impl std::fmt::Display for RamParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, image, scratch, styles, factors, mapping } = self;
        write!(
            f,
            "rows {rows}, image {image}, scratch {scratch}, styles {styles}, factors {factors}, mapping {mapping}"
        )
    }
}

impl Packed {
    pub fn text(&self) -> String {
        let fit = self.fit.as_ref().map(|fit| format!("\n{} (estimated)", fit.line()));
        let wide: Vec<&str> = self.layers.iter().filter(|layer| layer.bits == 16).map(|layer| &*layer.name).collect();
        let wide = if wide.is_empty() { String::new() } else { format!("\n16 bit {}", wide.join(", ")) };
        format!(
            "{}\nflash  {} bytes (mapping {}, affine {}, conv {}, toRGB {}, noise {}, tables {}){wide}\nRAM    {} bytes ({})\n\
             PSNR   {:.1} dB mean, {:.1} dB worst, against the float generator over {} seeds{}",
            self.pack.display(),
            self.pack_bytes,
            self.parts.mapping,
            self.parts.affine,
            self.parts.conv,
            self.parts.torgb,
            self.parts.noise,
            self.parts.tables,
            self.ram_bytes,
            self.ram,
            self.psnr_db,
            self.psnr_worst_db,
            self.psnr_images,
            fit.unwrap_or_default()
        )
    }
}
