//! `nickeldime compress`: prune a teacher and distil it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::{
    progress::{Bar, say, stop_on_ctrl_c},
    training::{SettingFlags, drive, write_grid},
};
use crate::{
    backend::CpuTraining,
    checkpoint,
    compress::pipeline::{Inputs, Start, prepare},
    data::Dataset,
    embed::spec::{self, EmbedSpec},
    run::{Record, RunFolder},
};

/// Arguments of `compress`.
#[derive(clap::Args)]
pub struct CompressArgs {
    /// The teacher: a StyleGAN2-ADA .pkl, or safetensors with generator and discriminator.
    #[arg(long, required_unless_present = "resume")]
    teacher: Option<PathBuf>,
    /// Real images: a folder or a zip.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder.
    #[arg(short, long)]
    output: PathBuf,
    /// Go on with the run in the folder, with the inputs and settings that it began with.
    #[arg(long, conflicts_with_all = ["teacher", "data", "embed", "masks"])]
    resume: bool,
    /// An embedding for DiME, once for each: dino=FILE (DINO's dino_resnet50_pretrain.pth), clip=FILE (OpenAI's RN50.pt),
    /// resnet50=FILE, inception=FILE, small=FILE. Weights may follow, of both moments or of each: the paper's 20 for dino and
    /// 15 for clip unless given. None leaves DiME out.
    #[arg(long, value_name = "KIND=FILE[:WEIGHT[:SECOND]]")]
    embed: Vec<EmbedSpec>,
    /// Content masks for scoring: a folder or zip of black and white images, one for all, or in the order of their names
    /// for the seeds 0, 1, ... (0000.png, 0001.png, ..., as `sample --each` writes them).
    #[arg(long)]
    masks: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn run(args: &CompressArgs, json: bool) -> anyhow::Result<()> {
    stop_on_ctrl_c();
    let (mut record, begun) = match (&args.teacher, &args.data) {
        (Some(teacher), Some(data)) => (begin(args, teacher, data)?, None),
        _ => {
            args.settings.refuse_with_resume()?;
            let (run, record, state) = RunFolder::resume(&args.output)?;
            (record, Some((run, state)))
        }
    };
    let path = record.teacher.clone().context("this run was begun by `nickeldime train`: resume it there")?;
    let bytes = record.read_input(&path)?;
    for embed in record.embeds.clone() {
        record.read_input(&embed.path)?;
    }
    let teacher = checkpoint::from_bytes(&path, &bytes)?;
    let data = Dataset::open(&record.data)?;
    if begun.is_none() {
        record.settings = args.settings.resolve(teacher.generator.arch.resolution())?;
    }
    announce(&record)?;

    let masks = record.masks.as_deref().map(read_masks).transpose()?.unwrap_or_default();
    let inputs = Inputs { teacher: &teacher, data: &data, embeds: &record.embeds, masks };
    let (run, state) = match begun {
        Some((run, state)) => (Some(run), state),
        None => (None, None),
    };
    let start = state.map_or(Start::Fresh, Start::Saved);
    let mut trainer = prepare::<CpuTraining>(inputs, &record.settings, start, &Default::default(), &mut Bar::new())?;
    let run = match run {
        Some(run) => run.opened_log(trainer.step)?,
        None => RunFolder::create(&args.output, &record)?,
    };
    write_grid(&teacher.generator, &run.teacher_grid())?;
    let trained = drive(&mut trainer, &data, run, &args.output, false)?;
    trained.finish(&record.settings, "compress", json)
}

/// What a new run is asked for; the settings follow when the teacher's size is known.
fn begin(args: &CompressArgs, teacher: &Path, data: &Path) -> anyhow::Result<Record> {
    RunFolder::vacant(&args.output)?;
    // A run may be gone on with from elsewhere.
    let absolute = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let mut embeds = args.embed.clone();
    for embed in &mut embeds {
        embed.path = absolute(&embed.path)?;
    }
    Ok(Record {
        teacher: Some(absolute(teacher)?),
        embeds,
        masks: args.masks.as_deref().map(absolute).transpose()?,
        ..Record::new(absolute(data)?)
    })
}

/// A run says first what it measures distributions in.
fn announce(record: &Record) -> anyhow::Result<()> {
    let dime = record.settings.method.parts().dime;
    ensure!(dime || record.embeds.is_empty(), "this --method matches no distributions: leave --embed out");
    if record.embeds.is_empty() {
        say(format_args!("without embeddings: no DiME"));
    }
    for spec in &record.embeds {
        say(format_args!("embedding {spec}"));
    }
    if dime {
        say(format_args!("{}", spec::compared_with_the_paper(&record.embeds)));
    }
    Ok(())
}

fn read_masks(path: &Path) -> anyhow::Result<Vec<Vec<bool>>> {
    let masks = Dataset::open(path)?;
    let pixels = masks.resolution() * masks.resolution();
    (0..masks.len())
        .map(|i| {
            // White is content; a mask is grey, so that one colour tells.
            let image = masks.image(i)?;
            Ok(image.iter().take(pixels).map(|&x| x > 127).collect())
        })
        .collect()
}
