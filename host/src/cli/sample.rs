//! `nickeldime sample`: draws images from a checkpoint, a pack, or a device.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use nickeldime_core::{generator::Join, pack::Pack};
use nickeldime_link::Client;
use serde::Serialize;

use super::{
    model::ModelFile,
    outputs::{self, Format},
    progress::{Bar, stop_on_ctrl_c},
    seeds::{MOST, Seeds},
};
use crate::{
    draw::{
        DrawError, DrawRequest, Drawn, Latents, NoiseMode, Preview,
        fixed::q14,
        latent_file,
        pairs::{self, Pair},
    },
    picture::{
        Picture,
        animation::{self, AnimationFormat},
    },
};

/// Arguments of `sample`.
#[derive(clap::Args)]
pub struct SampleArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), a pack, or a run's folder.
    #[arg(required_unless_present = "port", conflicts_with = "port")]
    model: Option<PathBuf>,
    /// Draw on the device at this port, with the model that it has loaded.
    #[arg(long)]
    port: Option<String>,
    /// Seeds: one (7), a list (1,4,9), a range with both ends (0..15 or 0-15), or a list with ranges (1,3,5-8).
    #[arg(long, visible_alias = "seeds", default_value = "0..15", value_name = "A..B")]
    seed: Seeds,
    /// Turn seeds into latents as StyleGAN2-ADA's generate.py does: z is numpy.random.RandomState(SEED).randn(1,
    /// z_dim).
    #[arg(long, conflicts_with_all = ["latents", "mix", "towards", "walk", "mixing_grid"])]
    numpy_seeds: bool,
    /// Latents from a file instead of seeds (.npy, .npz, .safetensors): `z` [N, z_dim], or `w` [N, w_dim] or
    /// [N, num_ws, w_dim], one for each layer. The array of a .npy is w where it has three axes, and z otherwise.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    latents: Option<PathBuf>,
    /// Style mixing: take the layers from `--cut` on from this seed.
    #[arg(long, value_name = "SEED", requires = "cut", conflicts_with_all = ["latents", "towards", "mixing_grid", "walk"])]
    mix: Option<u64>,
    /// The first layer of the other seed: 0 is b4.conv1, 1 is b8.conv0 (and b4's toRGB), 2 is b8.conv1, ...
    ///
    /// Default for --mixing-grid: half of the layers.
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["latents", "towards", "walk"])]
    cut: Option<u8>,
    /// Interpolation in w: go from each seed towards this one.
    #[arg(long, value_name = "SEED", requires = "weight", conflicts_with = "latents")]
    towards: Option<u64>,
    /// The distance to go towards the other seed: 0 stays, 1 goes all the way; between -2 and 2, both excluded.
    #[arg(long, value_name = "X", requires = "towards", allow_hyphen_values = true)]
    weight: Option<f32>,
    /// A grid of style mixing: the coarse styles (the layers before --cut) of each seed of --rows with the fine styles
    /// (the layers from --cut on) of each seed of --cols. The first column and the first row show the seeds themselves.
    #[arg(long, conflicts_with_all = ["latents", "towards", "columns"])]
    mixing_grid: bool,
    /// The seeds of the rows. Default: those of --seed.
    #[arg(long, value_name = "A..B", requires = "mixing_grid")]
    rows: Option<Seeds>,
    /// The seeds of the columns. Default: those of --seed.
    #[arg(long, value_name = "A..B", requires = "mixing_grid")]
    cols: Option<Seeds>,
    /// A loop in w through these seeds and back to the first, as an animation (-o walk.gif, walk.webp or walk.apng).
    /// --psi and the noise stay the same in all frames.
    #[arg(long, value_name = "A,B,C", conflicts_with_all = ["latents", "seed", "towards", "mixing_grid", "columns"])]
    walk: Option<Seeds>,
    /// The number of frames of the whole loop.
    #[arg(long, value_name = "N", requires = "walk", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// The number of frames that are shown in a second.
    #[arg(long, value_name = "N", requires = "walk", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    fps: u16,
    /// The truncation: 1 leaves images as they are, 0 gives the mean image; between -2 and 2, both excluded. A w from a
    /// file is not truncated.
    #[arg(long, default_value_t = 1.0, allow_hyphen_values = true)]
    psi: f32,
    /// The noise. Default: the pack's or the device's own, or `const` for a checkpoint.
    #[arg(long, value_enum)]
    noise: Option<NoiseMode>,
    /// Write all images as one grid; of a walk, an animation.
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
    args.check_outputs()?;
    stop_on_ctrl_c();
    let given = args.latents.as_deref().map(latent_file::read).transpose()?;
    let started = std::time::Instant::now();
    let mut bar = Bar::new();
    let (source, mut origin) = args.origin()?;
    let latents = match given {
        Some(given) => given,
        None => args.seeds(origin.resolution()?)?,
    };
    let drawing = DrawRequest { latents: &latents, psi: args.psi, noise: args.noise };
    let drawn = match &mut origin {
        Origin::Float(preview) => drawing.in_float(preview, &mut bar)?,
        Origin::Pack(bytes) => drawing.in_integers(&Pack::open(bytes)?, &mut bar)?,
        Origin::Board(client) => drawing.on_device(client, &mut bar)?,
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
        args.write(&drawn, path)?;
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

/// Where images are drawn.
enum Origin {
    Float(Preview),
    Pack(Vec<u8>),
    Board(Box<Client>),
}

impl Origin {
    fn resolution(&self) -> anyhow::Result<usize> {
        Ok(match self {
            Self::Float(preview) => preview.resolution(),
            Self::Pack(bytes) => Pack::open(bytes)?.resolution(),
            Self::Board(client) => {
                let model = client.board().model.as_ref().ok_or(DrawError::NoModel)?;
                model.resolution.into()
            }
        })
    }
}

impl SampleArgs {
    /// Opens what draws, and returns its name too.
    fn origin(&self) -> anyhow::Result<(String, Origin)> {
        Ok(match (&self.port, &self.model) {
            (Some(port), _) => (port.clone(), Origin::Board(Box::new(Client::open(port)?))),
            (None, Some(path)) => {
                let origin = match ModelFile::open(path)? {
                    ModelFile::Checkpoint(checkpoint) => Origin::Float(Preview::new(&checkpoint.generator)?),
                    ModelFile::Pack(bytes) => Origin::Pack(bytes),
                };
                (path.display().to_string(), origin)
            }
            (None, None) => bail!("name a model or a port"),
        })
    }

    /// The format of --output.
    fn format(&self) -> Format {
        if self.walk.is_some() { Format::Animation } else { Format::Png }
    }

    /// Writes all images into one file.
    fn write(&self, drawn: &Drawn, path: &Path) -> anyhow::Result<()> {
        if self.walk.is_some() {
            // A device such as /dev/null has no extension.
            let format = AnimationFormat::of(path).unwrap_or(AnimationFormat::Gif);
            animation::write(&drawn.pictures, format, 1000 / self.fps, path)?;
        } else if self.mixing_grid {
            drawn.write_mixing_grid(path, self.cols.as_ref().unwrap_or(&self.seed).0.len())?;
        } else {
            drawn.write_grid(path, self.columns)?;
        }
        Ok(())
    }

    /// Whatever is written can be written: known before the first image is drawn.
    fn check_outputs(&self) -> anyhow::Result<()> {
        self.output.iter().try_for_each(|path| outputs::file(path, self.format()))?;
        self.raw.iter().try_for_each(|path| outputs::file(path, Format::Safetensors))?;
        self.each.iter().try_for_each(|path| outputs::folder(path))
    }

    /// The seeds, alone or each with its other one.
    fn seeds(&self, resolution: usize) -> anyhow::Result<Latents> {
        if let Some(Seeds(seeds)) = &self.walk {
            ensure!(seeds.len() > 1, "--walk: name at least two seeds");
            return Ok(Latents::Pairs(pairs::walk(seeds, self.frames as usize)));
        }
        if self.mixing_grid {
            let of = |seeds: &Option<Seeds>| seeds.as_ref().unwrap_or(&self.seed).0.clone();
            let (rows, cols) = (of(&self.rows), of(&self.cols));
            let images = (rows.len() as u64 + 1) * (cols.len() as u64 + 1);
            ensure!(images <= MOST, "--mixing-grid: {images} images; at most {MOST}");
            // A block has two layers, and the first block one.
            let half = (resolution.max(4).ilog2() - 1) as u8;
            return Ok(Latents::Pairs(pairs::mixing_grid(&rows, &cols, self.cut.unwrap_or(half))));
        }
        ensure!(self.cut.is_none() || self.mix.is_some(), "--cut goes with --mix or --mixing-grid");
        let pairs = |other: u64, join| {
            let pair = |&seed: &u64| Pair { seeds: [seed, other], join, noise: seed };
            Latents::Pairs(self.seed.0.iter().map(pair).collect())
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
