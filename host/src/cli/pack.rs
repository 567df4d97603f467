//! `nickeldime pack`: a float generator as a model pack.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, bail};
use nickeldime_core::{
    generator::{Latent, Noise, Ram, Sample},
    pack::{NoiseKind, Pack, WeightWidth},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{model::Model, progress::Bar};
use crate::{
    boards::{
        Board,
        fit::{self, Fit, Need},
    },
    checkpoint::GeneratorWeights,
    files,
    port::hex,
    preview::{Latents, NoiseMode, Preview},
    progress::Progress,
    quantise::{Fidelity, PackOptions, Parts, psnr, render, write_pack},
};

/// psi = 1 in the device's Q14.
const PSI_ONE: i16 = 1 << 14;
/// Latents that the activations' ranges are taken over.
const CALIBRATION_SEEDS: u64 = 256;
/// Latents that the fidelity is measured on; others than those of the calibration.
const FIDELITY_SEEDS: std::ops::Range<u64> = 1_000_000..1_000_064;

/// Arguments of `pack`.
#[derive(clap::Args)]
pub struct PackArgs {
    /// A checkpoint (.pkl, .safetensors), or a run's folder: its newest student.
    model: PathBuf,
    /// The pack to write.
    #[arg(short, long)]
    output: PathBuf,
    /// A name for people, at most 64 bytes; the model's file name unless given.
    #[arg(long)]
    name: Option<String>,
    /// The noise that the device adds unless told otherwise; `const` also stores the maps.
    #[arg(long, value_enum, default_value = "const")]
    noise: NoiseMode,
    /// Refuse a model that does not fit this board, and say how long its images take there.
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Bits of the mapping network's weights.
    #[arg(long, value_parser = ["8", "16"], default_value = "16")]
    mapping_bits: String,
}

/// What was packed.
#[derive(Debug, Clone, Serialize)]
pub struct Packed {
    pub pack: PathBuf,
    pub pack_bytes: usize,
    pub parts: Parts,
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
    let board = args.board.as_deref().map(Board::find).transpose()?;
    if let Some(board) = &board {
        fit::check(board, &checkpoint.generator.arch, 0.0, &options)
            .with_context(|| format!("{} as it is", args.model.display()))?;
    }
    let mut packed = pack(&checkpoint.generator, options, args.noise, &args.output, &mut Bar::new())?;
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

/// Calibrates, quantises, writes, and measures against the float generator.
pub fn pack(
    weights: &GeneratorWeights,
    options: PackOptions,
    noise: NoiseMode,
    output: &std::path::Path,
    progress: &mut dyn Progress,
) -> anyhow::Result<Packed> {
    let preview = Preview::new(weights)?;
    progress.begin("calibrating", "img", CALIBRATION_SEEDS);
    let seeds: Vec<u64> = (0..CALIBRATION_SEEDS).collect();
    let ranges = preview.ranges(&seeds, noise, &mut |done| progress.at(done as u64, ""));
    progress.end();
    let file = write_pack(weights, &ranges, &options)?;
    files::replace(output, |out| out.write_all(&file.bytes)).with_context(|| format!("{}", output.display()))?;

    let latents = Latents::Seeds(FIDELITY_SEEDS.collect());
    progress.begin("comparing", "img", latents.len() as u64);
    let floats = preview.images(&latents, 1.0, noise, &mut |done| {
        progress.at(done as u64, "");
        !progress.stopped()
    })?;
    progress.end();
    let pack = Pack::open(&file.bytes)?;
    let ratios = floats
        .iter()
        .enumerate()
        .map(|(i, float)| {
            let seed = latents.seed(i);
            let sample = Sample { latent: Latent::Seed(seed), psi: PSI_ONE, noise: device_noise(noise, seed) };
            Ok(psnr(&render(&pack, &sample)?, float))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let fidelity = Fidelity::of(&ratios).context("no image to compare")?;
    Ok(Packed {
        pack: output.into(),
        pack_bytes: file.bytes.len(),
        parts: file.parts,
        ram_bytes: pack.ram().total(),
        ram: pack.ram().into(),
        psnr_db: fidelity.mean_db,
        psnr_worst_db: fidelity.worst_db,
        psnr_images: fidelity.images,
        sha256: hex(&Sha256::digest(&file.bytes)),
        need: Need::of_pack(&pack),
        fit: None,
    })
}

/// A noise mode as the device takes it.
pub fn device_noise(mode: NoiseMode, seed: u64) -> Noise {
    match mode {
        NoiseMode::None => Noise::None,
        NoiseMode::Const => Noise::Const,
        NoiseMode::Random => Noise::Random(seed),
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
        format!(
            "{}\nflash  {} bytes (mapping {}, affine {}, conv {}, toRGB {}, noise {}, tables {})\nRAM    {} bytes ({})\nPSNR   {:.1} dB mean, \
             {:.1} dB worst, against the float generator over {} seeds{}",
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
