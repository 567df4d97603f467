//! `nickeldime sample`: draws images from a checkpoint, a pack, or a device.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, bail, ensure};
use nickeldime_core::{generator::Join, pack::Pack};
use nickeldime_link::Client;
use serde::Serialize;

use super::{
    model::ModelFile,
    progress::{Bar, stop_on_ctrl_c},
};
use crate::{
    draw::{DrawRequest, Latents, NoiseMode, Preview, latent_file, request::q14},
    picture::Picture,
};

/// Largest number of images of one command. A larger number is probably a typing error.
const MOST: u64 = 1_000_000;

/// Arguments of `sample`.
#[derive(clap::Args)]
pub struct SampleArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), a pack, or a run's folder.
    #[arg(required_unless_present = "port", conflicts_with = "port")]
    model: Option<PathBuf>,
    /// Draw on the device at this port, with the model that it has loaded.
    #[arg(long)]
    port: Option<String>,
    /// Seeds: one (7), a list (1,4,9), or a range with both ends (0..15).
    #[arg(long, default_value = "0..15", value_name = "A..B")]
    seed: Seeds,
    /// Turn seeds into latents as StyleGAN2-ADA's generate.py does: z is numpy.random.RandomState(SEED).randn(1,
    /// z_dim).
    #[arg(long, conflicts_with_all = ["latents", "mix", "towards"])]
    numpy_seeds: bool,
    /// Latents from a file instead of seeds (.npy, .npz, .safetensors): `z` [N, z_dim], or `w` [N, w_dim] or
    /// [N, num_ws, w_dim], one for each layer. The array of a .npy is w where it has three axes, and z otherwise.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    latents: Option<PathBuf>,
    /// Style mixing: take the layers from `--cut` on from this seed.
    #[arg(long, value_name = "SEED", requires = "cut", conflicts_with_all = ["latents", "towards"])]
    mix: Option<u64>,
    /// The first layer of the other seed: 0 is b4.conv1, 1 is b8.conv0 (and b4's toRGB), 2 is b8.conv1, ...
    #[arg(long, value_name = "LAYER", requires = "mix")]
    cut: Option<u8>,
    /// Interpolation in w: go from each seed towards this one.
    #[arg(long, value_name = "SEED", requires = "weight", conflicts_with = "latents")]
    towards: Option<u64>,
    /// The distance to go towards the other seed: 0 stays, 1 goes all the way; between -2 and 2, both excluded.
    #[arg(long, value_name = "X", requires = "towards", allow_hyphen_values = true)]
    weight: Option<f32>,
    /// The truncation: 1 leaves images as they are, 0 gives the mean image; between -2 and 2, both excluded. A w from a
    /// file is not truncated.
    #[arg(long, default_value_t = 1.0, allow_hyphen_values = true)]
    psi: f32,
    /// The noise. Default: the pack's or the device's own, or `const` for a checkpoint.
    #[arg(long, value_enum)]
    noise: Option<NoiseMode>,
    /// Write all images as one grid.
    #[arg(short, long, value_name = "PNG")]
    output: Option<PathBuf>,
    /// The number of columns of the grid; 0 makes it nearly square.
    #[arg(long, default_value_t = 0)]
    columns: usize,
    /// Write each image as a PNG file into this folder.
    #[arg(long, value_name = "DIR")]
    each: Option<PathBuf>,
    /// Write the images as a tensor `images` [N, 3, H, W] (for a grey model [N, 1, H, W]) of f32, before rounding; for
    /// a pack or device, the bytes.
    #[arg(long, value_name = "OUT.safetensors")]
    raw: Option<PathBuf>,
}

/// A list of seeds, as a user writes it.
#[derive(Debug, Clone)]
struct Seeds(Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |s: &str| s.trim().parse::<u64>().map_err(|_| format!("{s:?} is not a seed"));
        let Some((first, last)) = text.split_once("..") else {
            return text.split(',').map(number).collect::<Result<_, _>>().map(Self);
        };
        let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
        match last.checked_sub(first) {
            Some(count) if count < MOST => Ok(Self((first..=last).collect())),
            Some(_) => Err(format!("more than {MOST} seeds")),
            None => Err(format!("{first}..{last}: the first seed is above the last")),
        }
    }
}

#[derive(Serialize)]
struct Sampled {
    source: String,
    images: usize,
    resolution: usize,
    sha256: String,
    seconds: f64,
    /// One an image, from the request to the last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<PathBuf>,
}

pub fn run(args: &SampleArgs, json: bool) -> anyhow::Result<()> {
    ensure!(args.psi.is_finite() && args.psi.abs() < 2.0, "--psi {}: must be above -2 and below 2", args.psi);
    stop_on_ctrl_c();
    let latents = match &args.latents {
        Some(path) => latent_file::read(path)?,
        None => args.seeds()?,
    };
    let drawing = DrawRequest { latents: &latents, psi: args.psi, noise: args.noise };
    let started = std::time::Instant::now();
    let mut bar = Bar::new();
    let (source, drawn) = match (&args.port, &args.model) {
        (Some(port), _) => {
            let mut client = Client::open(port)?;
            (port.clone(), drawing.on_device(&mut client, &mut bar)?)
        }
        (None, Some(path)) => {
            let drawn = match ModelFile::open(path)? {
                ModelFile::Checkpoint(checkpoint) => {
                    drawing.in_float(&Preview::new(&checkpoint.generator)?, &mut bar)?
                }
                ModelFile::Pack(bytes) => drawing.in_integers(&Pack::open(&bytes)?, &mut bar)?,
            };
            (path.display().to_string(), drawn)
        }
        (None, None) => bail!("name a model or a port"),
    };
    let seconds = started.elapsed().as_secs_f64();
    let sampled = Sampled {
        source,
        images: drawn.pictures.len(),
        resolution: drawn.resolution,
        sha256: drawn.sha256(),
        seconds,
        instructions: drawn.instructions.clone(),
        output: args.output.clone(),
    };
    if let Some(path) = &args.output {
        drawn.write_grid(path, args.columns)?;
    }
    if let Some(folder) = &args.each {
        Picture::write_each(&drawn.pictures, folder)?;
    }
    if let Some(path) = &args.raw {
        drawn.write_raw(path)?;
    }
    super::print(json, &sampled, || {
        format!(
            "{} images of {size}x{size} from {} in {seconds:.1} s\nSHA-256 {}",
            sampled.images,
            sampled.source,
            sampled.sha256,
            size = sampled.resolution
        )
    })
}

impl SampleArgs {
    /// The latents of the seeds, or of pairs of each seed and the other one.
    fn seeds(&self) -> anyhow::Result<Latents> {
        let pairs = |other: u64, join| {
            let seeds = self.seed.0.iter().map(|&seed| [seed, other]).collect();
            Latents::Pairs { seeds, join }
        };
        Ok(match (self.mix, self.cut, self.towards, self.weight) {
            (Some(other), Some(cut), ..) => pairs(other, Join::Cut(cut)),
            (.., Some(other), Some(weight)) => {
                ensure!(weight.is_finite() && weight.abs() < 2.0, "--weight {weight}: must be above -2 and below 2");
                pairs(other, Join::Weight(q14(weight)))
            }
            _ if self.numpy_seeds => {
                let seed = |&seed: &u64| {
                    let narrow = u32::try_from(seed).ok();
                    narrow.with_context(|| format!("--seed {seed}: NumPy's seeds end at {}", u32::MAX))
                };
                Latents::NumpySeeds(self.seed.0.iter().map(seed).collect::<Result<_, _>>()?)
            }
            _ => Latents::Seeds(self.seed.0.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_has_both_ends() {
        let seeds = |text: &str| text.parse::<Seeds>().unwrap().0;
        assert_eq!(seeds("0..15").len(), 16);
        assert_eq!(seeds("7"), [7]);
        assert_eq!(seeds("3, 1,2"), [3, 1, 2]);
        assert_eq!(seeds("18446744073709551615"), [u64::MAX]);
    }

    #[test]
    fn what_is_not_a_seed_is_refused() {
        for text in ["", "a", "5..2", "0..", "-1", "0..99999999999"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }
}
