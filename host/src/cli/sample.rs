//! `nickeldime sample`: images from a checkpoint, a pack, or a device.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use ndarray::{ArrayView2, ArrayView3};
use nickeldime_checkpoint::{Tensors, write_tensors};
use nickeldime_core::{
    generator::{Join, Latent, Sample},
    pack::{NoiseKind, Pack},
};
use nickeldime_link::{Client, PortError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    model::Model,
    pack::device_noise,
    progress::{Bar, stop_on_ctrl_c},
};
use crate::{
    draw::device::images,
    hash::hex,
    latent_file, numpy_random,
    picture::{Picture, PictureError},
    preview::{Latents, NoiseMode, Preview, PreviewError},
    progress::Progress,
    quantise::render,
};

/// More images than anybody means.
const MOST: u64 = 1_000_000;

/// Arguments of `sample`.
#[derive(clap::Args)]
pub struct SampleArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), a pack, or a run's folder.
    #[arg(required_unless_present = "port", conflicts_with = "port")]
    model: Option<PathBuf>,
    /// Draw on the device at this port, with the model that it has.
    #[arg(long)]
    port: Option<String>,
    /// Seeds: one (7), a list (1,4,9), or a range with both ends (0..15).
    #[arg(long, default_value = "0..15", value_name = "A..B")]
    seed: Seeds,
    /// Take the seeds as StyleGAN2-ADA's generate.py does: z is numpy.random.RandomState(SEED).randn(1, z_dim).
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
    /// How far: 0 is not at all, 1 all the way; between -2 and 2, both excluded.
    #[arg(long, value_name = "X", requires = "towards", allow_hyphen_values = true)]
    weight: Option<f32>,
    /// Truncation: 1 is none, 0 the mean image; between -2 and 2, both excluded. w from a file stays as it is.
    #[arg(long, default_value_t = 1.0, allow_hyphen_values = true)]
    psi: f32,
    /// Noise; a pack's or device's own default unless given, `const` for a checkpoint.
    #[arg(long, value_enum)]
    noise: Option<NoiseMode>,
    /// Write all images as one grid.
    #[arg(short, long, value_name = "PNG")]
    output: Option<PathBuf>,
    /// Columns of the grid; 0 is near-square.
    #[arg(long, default_value_t = 0)]
    columns: usize,
    /// Write one PNG an image into this folder.
    #[arg(long, value_name = "DIR")]
    each: Option<PathBuf>,
    /// Write `images` [N, 3, H, W] (of a grey model [N, 1, H, W]) in f32, before rounding (of a pack or device: its bytes).
    #[arg(long, value_name = "OUT.safetensors")]
    raw: Option<PathBuf>,
}

/// Seeds as a user writes them.
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

/// Grids are enlarged (by whole factors) until a tile has about this many pixels: small images stay visible.
const TILE: usize = 64;

/// Finished images.
pub struct Drawn {
    /// Height and width.
    resolution: usize,
    pictures: Vec<Picture>,
    /// The same as floats `[channels, height, width]`, before rounding where there was any.
    raw: Vec<Vec<f32>>,
}

impl Drawn {
    fn from_floats(resolution: usize, raw: Vec<Vec<f32>>) -> anyhow::Result<Self> {
        let picture = |image: &Vec<f32>| -> anyhow::Result<Picture> {
            let channels = image.len() / (resolution * resolution);
            let planes = ArrayView3::from_shape((channels, resolution, resolution), image)?;
            Ok(Picture::from_floats(planes))
        };
        let pictures = raw.iter().map(picture).collect::<Result<_, _>>()?;
        Ok(Self { resolution, pictures, raw })
    }

    fn from_bytes(resolution: usize, images: Vec<Vec<u8>>) -> Self {
        let planes = |image: &Vec<u8>| -> Vec<f32> {
            (0..3).flat_map(|c| image.iter().skip(c).step_by(3).map(|&byte| f32::from(byte))).collect()
        };
        let raw = images.iter().map(planes).collect();
        let pictures = images.into_iter().map(|pixels| Picture::new(resolution, resolution, pixels)).collect();
        Self { resolution, pictures, raw }
    }

    /// SHA-256 over all images' bytes.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.pictures.iter().for_each(|picture| hash.update(picture.pixels()));
        hex(&hash.finalize())
    }

    /// Writes them as one picture; `columns` 0 is near-square.
    pub fn write_grid(&self, path: &Path, columns: usize) -> Result<(), PictureError> {
        Picture::grid(&self.pictures, columns, TILE / self.resolution.max(1)).write(path)
    }
}

/// How to draw.
pub struct Drawing<'a> {
    pub latents: &'a Latents,
    pub psi: f32,
    /// `None`: the model's own default.
    pub noise: Option<NoiseMode>,
}

#[derive(Serialize)]
struct Sampled {
    source: String,
    images: usize,
    resolution: usize,
    sha256: String,
    seconds: f64,
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
    let drawing = Drawing { latents: &latents, psi: args.psi, noise: args.noise };
    let started = std::time::Instant::now();
    let mut bar = Bar::new();
    let (source, drawn) = match (&args.port, &args.model) {
        (Some(port), _) => {
            let mut client = Client::open(port)?;
            (port.clone(), drawing.on_device(&mut client, &mut bar)?)
        }
        (None, Some(path)) => {
            let drawn = match Model::open(path)? {
                Model::Checkpoint(checkpoint) => drawing.in_float(&Preview::new(&checkpoint.generator)?, &mut bar)?,
                Model::Pack(bytes) => drawing.in_integers(&Pack::open(&bytes)?, &mut bar)?,
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
        output: args.output.clone(),
    };
    if let Some(path) = &args.output {
        drawn.write_grid(path, args.columns)?;
    }
    if let Some(folder) = &args.each {
        Picture::write_each(&drawn.pictures, folder)?;
    }
    if let Some(path) = &args.raw {
        write_raw(path, &drawn)?;
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
    /// The seeds, alone or each with its other one.
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

impl Drawing<'_> {
    /// By a float generator.
    pub fn in_float(&self, preview: &Preview, progress: &mut dyn Progress) -> anyhow::Result<Drawn> {
        let noise = self.noise.unwrap_or(NoiseMode::Const);
        progress.begin("drawing", "img", self.latents.len() as u64);
        let raw = preview.images(self.latents, self.psi, noise, &mut |done| {
            progress.at(done as u64, "");
            !progress.stopped()
        })?;
        progress.end();
        Drawn::from_floats(preview.resolution(), raw)
    }

    /// By the integer engine, here.
    pub fn in_integers(&self, pack: &Pack<'_>, progress: &mut dyn Progress) -> anyhow::Result<Drawn> {
        let latents = self.fixed_latents(pack.z_dim())?;
        let samples = self.samples(&latents, pack.noise_default());
        progress.begin("drawing", "img", samples.len() as u64);
        let mut rgb = Vec::with_capacity(samples.len());
        for sample in &samples {
            if progress.stopped() {
                return Err(PreviewError::Stopped.into());
            }
            rgb.push(render(pack, sample)?);
            progress.at(rgb.len() as u64, "");
        }
        progress.end();
        Ok(Drawn::from_bytes(pack.resolution(), rgb))
    }

    /// By the integer engine, on a device.
    pub fn on_device(&self, client: &mut Client, progress: &mut dyn Progress) -> anyhow::Result<Drawn> {
        let Some(model) = client.board().model.clone() else {
            bail!("the device has no model yet: `nickeldime send PACK --port ...` gives it one");
        };
        let latents = self.fixed_latents(model.z_dim.into())?;
        let images = match images(client, &self.samples(&latents, model.noise), progress) {
            Err(PortError::Stopped) => return Err(PreviewError::Stopped.into()),
            images => images?,
        };
        Ok(Drawn::from_bytes(model.resolution.into(), images.into_iter().map(|image| image.rgb).collect()))
    }

    /// The latents in the device's fixed point, for a model whose z is `z_dim` wide.
    fn fixed_latents(&self, z_dim: usize) -> anyhow::Result<Vec<FixedLatent>> {
        let z = |&x: &f32| fixed(x, 12).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let w = |&x: &f32| fixed(x, 16);
        Ok(match self.latents {
            Latents::Seeds(seeds) => seeds.iter().map(|&seed| FixedLatent::Seed(seed)).collect(),
            Latents::NumpySeeds(seeds) => {
                let latent = |&seed| FixedLatent::Z(numpy_random::latent(seed, z_dim).iter().map(z).collect());
                seeds.iter().map(latent).collect()
            }
            Latents::LayerW(layers) => {
                let one = |ws: ArrayView2<'_, f32>| {
                    let first = ws.row(0);
                    let alike = ws.rows().into_iter().all(|row| row == first);
                    ensure!(alike, "w differs from layer to layer: packs and devices take one w for all layers");
                    Ok(FixedLatent::W(first.iter().map(w).collect()))
                };
                layers.outer_iter().map(one).collect::<anyhow::Result<_>>()?
            }
            Latents::Pairs { seeds, join } => seeds.iter().map(|&seeds| FixedLatent::Pair(seeds, *join)).collect(),
            Latents::Z(rows) => {
                rows.rows().into_iter().map(|row| FixedLatent::Z(row.iter().map(z).collect())).collect()
            }
            Latents::W(rows) => {
                rows.rows().into_iter().map(|row| FixedLatent::W(row.iter().map(w).collect())).collect()
            }
        })
    }

    /// One description an image, for the integer engine.
    fn samples<'l>(&self, latents: &'l [FixedLatent], default: NoiseKind) -> Vec<Sample<'l>> {
        let mode = self.noise.unwrap_or(default.into());
        let psi = q14(self.psi);
        let sample = |(index, latent): (usize, &'l FixedLatent)| Sample {
            latent: match latent {
                FixedLatent::Seed(seed) => Latent::Seed(*seed),
                FixedLatent::Z(z) => Latent::Z(z),
                FixedLatent::W(w) => Latent::W(w),
                FixedLatent::Pair(seeds, join) => Latent::Pair { seeds: *seeds, join: *join },
            },
            psi,
            noise: device_noise(mode, self.latents.seed(index)),
        };
        latents.iter().enumerate().map(sample).collect()
    }
}

/// A latent as the integer engine takes it.
enum FixedLatent {
    Seed(u64),
    Z(Vec<i16>),
    W(Vec<i32>),
    Pair([u64; 2], Join),
}

/// `x` with `bits` fractional bits, limited to 32 bits.
fn fixed(x: f32, bits: i32) -> i32 {
    (f64::from(x) * 2f64.powi(bits)).round() as i32
}

/// A number below 2 in the device's Q14.
fn q14(x: f32) -> i16 {
    fixed(x, 14).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn write_raw(path: &Path, drawn: &Drawn) -> anyhow::Result<()> {
    let channels = drawn.raw.first().map_or(0, Vec::len) / (drawn.resolution * drawn.resolution);
    let shape = vec![drawn.raw.len(), channels, drawn.resolution, drawn.resolution];
    let images = ndarray::ArrayD::from_shape_vec(shape, drawn.raw.concat())?;
    Ok(write_tensors(path, &Tensors::from([("images".to_string(), images)]), &Default::default())?)
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
