//! `nickeldime moments`: measures a teacher's global moments, for any number of compressions.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{
    model::read_checkpoint,
    outputs::{self, Format},
    progress::{Bar, say, stop_on_ctrl_c},
};
use crate::{
    backend::{BackendKind, Inner, with_backend},
    compress::moments::{BATCH, GlobalMoments, Sampling},
    embed::{
        EmbedderWeights,
        spec::{EmbedSpec, compared_with_the_paper},
    },
};

/// Arguments of `moments`.
#[derive(clap::Args)]
pub struct MomentsArgs {
    /// The teacher: a StyleGAN2-ADA .pkl, a .pt, safetensors, or the folder of a run.
    #[arg(long)]
    teacher: PathBuf,
    /// An embedding, given as for `compress`, once for each. Its weights are not used here.
    #[arg(long, value_name = "KIND=FILE", required = true)]
    embed: Vec<EmbedSpec>,
    /// The number of images to draw.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The first image's seed; the others have the seeds after it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The batch size.
    #[arg(long, default_value_t = BATCH as u32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// The backend to compute on.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// The safetensors file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// An embedding in which moments were measured.
#[derive(Serialize)]
struct MeasuredIn<'a> {
    kind: &'static str,
    file: &'a Path,
    sha256: &'a str,
    features: usize,
    of_the_paper: bool,
}

impl<'a> MeasuredIn<'a> {
    fn of(embedder: &'a EmbedderWeights) -> Self {
        let EmbedderWeights { spec: EmbedSpec { kind, path, .. }, sha256, .. } = embedder;
        let (features, of_the_paper) = (kind.features(), kind.is_of_the_paper());
        Self { kind: kind.name(), file: path, sha256, features, of_the_paper }
    }
}

#[derive(Serialize)]
struct Measured<'a> {
    file: &'a Path,
    /// The SHA-256 of the generator's weights, which does not depend on the file format.
    teacher_sha256: &'a str,
    embeddings: Vec<MeasuredIn<'a>>,
    samples: usize,
    seed: u64,
    seconds: f64,
    images_per_second: f64,
}

pub fn run(args: &MomentsArgs, json: bool) -> anyhow::Result<()> {
    outputs::file(&args.output, Format::Safetensors)?;
    stop_on_ctrl_c();
    args.backend.check()?;
    for spec in &args.embed {
        let kind = spec.kind;
        let paper = if kind.is_of_the_paper() { "one of the paper's" } else { "not one of the paper's" };
        say(format_args!("embedding {} {} ({paper})", kind.name(), spec.path.display()));
    }
    say(format_args!("{}", compared_with_the_paper(&args.embed)));
    let teacher = read_checkpoint(&args.teacher)?.generator;
    let embedders = args.embed.iter().map(EmbedderWeights::read).collect::<Result<Vec<_>, _>>()?;
    let sampling = Sampling { samples: args.samples as usize, seed: args.seed, batch: args.batch as usize };
    let started = Instant::now();
    let moments = with_backend!(args.backend, A => {
        let device = Default::default();
        GlobalMoments::measure::<Inner<A>>(&teacher, &embedders, sampling, &device, &mut Bar::new())?
    });
    let seconds = started.elapsed().as_secs_f64();
    moments.write(&args.output)?;
    let measured = Measured {
        file: &args.output,
        teacher_sha256: &moments.teacher,
        embeddings: embedders.iter().map(MeasuredIn::of).collect(),
        samples: moments.samples,
        seed: moments.seed,
        seconds,
        images_per_second: moments.samples as f64 / seconds,
    };
    super::print(json, &measured, || {
        let (file, rate) = (args.output.display(), measured.images_per_second);
        let names: Vec<_> = moments.embedders().collect();
        format!("{file}: moments of {} images in {}, {rate:.1} images/s", args.samples, names.join(", "))
    })
}
