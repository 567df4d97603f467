//! `nickeldime embedder`: a small in-domain embedder.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::ensure;
use nickeldime_checkpoint::{Metadata, write_tensors};
use serde::Serialize;

use super::progress::{Bar, say, stop_on_ctrl_c};
use crate::{
    backend::{Choice, with_backend},
    compress::in_domain::{self, BATCH, InDomain, LR, Learned},
    data::{Dataset, Sizes},
};

/// Arguments of `embedder`.
#[derive(clap::Args)]
pub struct EmbedderArgs {
    #[command(subcommand)]
    command: EmbedderCommand,
}

#[derive(clap::Subcommand)]
enum EmbedderCommand {
    /// Train one on images: by their labels where all have one (dataset.json), and otherwise by VICReg.
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// Images: a folder or a zip.
    #[arg(long)]
    data: PathBuf,
    /// Bring the middle square of every image to this height and width.
    #[arg(long, value_name = "SIZE", value_parser = super::size)]
    resize: Option<usize>,
    /// The file to write (safetensors), for --embed small=FILE.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Thousands of images to show.
    #[arg(long, default_value_t = 30.0)]
    kimg: f64,
    /// Images an iteration.
    #[arg(long, default_value_t = BATCH as u32, value_parser = clap::value_parser!(u32).range(2..=1024))]
    batch: u32,
    /// Adam's learning rate.
    #[arg(long, default_value_t = LR)]
    lr: f64,
    /// Mirror images at random.
    #[arg(long)]
    mirror: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    backend: Choice,
    /// Of all randomness.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct Trained<'a> {
    file: &'a Path,
    /// None: without labels, by VICReg.
    classes: Option<usize>,
    /// On images that it was not shown.
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
    let data = Dataset::open_as(&args.data, args.resize.map_or(Sizes::Alike, Sizes::Resized))?;
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
pub fn make(data: &Dataset, settings: InDomain, backend: Choice, output: &Path) -> anyhow::Result<Learned> {
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
