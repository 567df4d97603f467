//! `nickeldime embedder`: trains a small in-domain embedder.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::ensure;
use nickeldime_checkpoint::{Metadata, write_tensors};
use serde::Serialize;

use super::{
    images::{ImageFlags, opened},
    outputs::{self, Format},
    progress::{Bar, say, stop_on_ctrl_c},
};
use crate::{
    backend::{BackendKind, with_backend},
    compress::in_domain::{self, BATCH, InDomain, LR, Learned},
    data::{Dataset, ImageSizes},
};

/// Arguments of `embedder`.
#[derive(clap::Args)]
pub struct EmbedderArgs {
    #[command(subcommand)]
    command: EmbedderCommand,
}

#[derive(clap::Subcommand)]
enum EmbedderCommand {
    /// Train an embedder on images: by their labels if all images have one (dataset.json), and otherwise by VICReg.
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The images: a folder or a zip.
    #[arg(long)]
    data: PathBuf,
    /// Crop every image to its middle square and scale it to this height and width.
    #[arg(long, value_name = "SIZE", value_parser = super::size)]
    resize: Option<usize>,
    #[command(flatten)]
    images: ImageFlags,
    /// The safetensors file to write, for --embed small=FILE.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The length of the training, in thousands of images.
    #[arg(long, default_value_t = 30.0)]
    kimg: f64,
    /// The batch size.
    #[arg(long, default_value_t = BATCH as u32, value_parser = clap::value_parser!(u32).range(2..=1024))]
    batch: u32,
    /// Adam's learning rate.
    #[arg(long, default_value_t = LR)]
    lr: f64,
    /// Mirror images at random.
    #[arg(long)]
    mirror: bool,
    /// The backend to compute on.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// The seed of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct Trained<'a> {
    file: &'a Path,
    /// The number of classes; `None` for a training without labels, by VICReg.
    classes: Option<usize>,
    /// The accuracy on images that were held out.
    accuracy: Option<f64>,
    loss: f32,
    images: u64,
    seconds: f64,
}

pub fn run(args: &EmbedderArgs, json: bool) -> anyhow::Result<()> {
    let EmbedderCommand::Train(args) = &args.command;
    stop_on_ctrl_c();
    ensure!((0.0..1e6).contains(&args.kimg), "--kimg {}: must be 0 or more, and below 1e6", args.kimg);
    ensure!(args.lr > 0.0 && args.lr.is_finite(), "--lr {}: must be above 0", args.lr);
    outputs::file(&args.output, Format::Safetensors)?;
    let data =
        opened(&args.data, args.resize.map_or(ImageSizes::Alike, ImageSizes::Resized), args.images.orientation())?;
    let settings =
        InDomain { kimg: args.kimg, batch: args.batch as usize, lr: args.lr, mirror: args.mirror, seed: args.seed };
    let started = Instant::now();
    let learned = make(&data, settings, args.backend, &args.output)?;
    let how = how(&learned);
    say(format_args!("an embedder of these images: not one of the paper's (DINO and CLIP ResNet-50)"));
    let trained = Trained {
        file: &args.output,
        classes: learned.classes,
        accuracy: learned.accuracy,
        loss: learned.loss,
        images: learned.images,
        seconds: started.elapsed().as_secs_f64(),
    };
    super::print(json, &trained, || {
        let right = trained.accuracy.map(|a| format!(", {:.1} % right on held-out images", 100.0 * a));
        format!("{}: learned by {how}{}", args.output.display(), right.unwrap_or_default())
    })
}

/// Trains an embedder on a dataset and writes it, for `--embed small=FILE`.
pub fn make(data: &Dataset, settings: InDomain, backend: BackendKind, output: &Path) -> anyhow::Result<Learned> {
    let learned = with_backend!(backend, A => {
        in_domain::train::<A>(data, settings, &Default::default(), &mut Bar::new())?
    });
    let notes = [
        ("network", "small".into()),
        ("learned by", how(&learned)),
        ("images", learned.images.to_string()),
        ("seed", settings.seed.to_string()),
    ];
    let notes = notes.map(|(key, value): (&str, String)| (key.to_string(), value));
    write_tensors(output, &learned.tensors, &Metadata::from(notes))?;
    Ok(learned)
}

fn how(learned: &Learned) -> String {
    learned.classes.map_or("VICReg, without labels".into(), |n| format!("labels, {n} classes"))
}
