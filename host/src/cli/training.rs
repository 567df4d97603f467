//! What `compress` and `train` share: setting flags, and the loop that fills a run's folder.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use burn::tensor::backend::AutodiffBackend;
use nickeldime_checkpoint::{Checkpoint, DiscriminatorWeights, GeneratorWeights, write_checkpoint};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Interrupted, progress::Bar};
use crate::{
    compress::{
        error::CompressError,
        iterate::train,
        settings::{PRESETS, Settings},
        state,
        trainer::Trainer,
    },
    data::Dataset,
    draw::{DrawRequest, Latents, NoiseMode, Preview},
    nets::names,
    run::{LogLine, RunFolder},
};

/// The number of latents in a run's grids.
const GRID: u64 = 32;
const COLUMNS: usize = 8;

/// Flags for settings, which override those of a file, which override those of a preset.
#[derive(clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SettingFlags {
    /// The StyleGAN2-ADA configuration to begin with. Default: paper256, paper512 or paper1024 for images of that size,
    /// and auto for others.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(PRESETS))]
    #[serde(skip)]
    preset: Option<String>,
    /// A TOML file of settings, under the names of these flags.
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    settings: Option<PathBuf>,
    /// The length of the training, in thousands of real images.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    kimg: Option<f64>,
    /// The batch size.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    /// Adam's learning rate.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// The weight of R1 (gamma).
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    gamma: Option<f32>,
    /// The half-life of the moving average, in thousands of images.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_kimg: Option<f64>,
    /// Limit the half-life to this share of the images seen so far.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_rampup: Option<f64>,
    /// Mirror real images at random.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<bool>,
    /// The distance between snapshots, in thousands of images.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_kimg: Option<f64>,
    /// The seed of every random choice of the run.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl SettingFlags {
    /// A run keeps its settings to its end: none, and none of `more`, may be given when it is resumed.
    pub fn refuse_with_resume(&self, more: &impl Serialize) -> anyhow::Result<()> {
        let given =
            self.preset.is_some() || self.settings.is_some() || !table(self)?.is_empty() || !table(more)?.is_empty();
        anyhow::ensure!(!given, "a resumed run keeps its settings; begin a new run to change them");
        Ok(())
    }

    /// The settings for images of `resolution`; `more` are flags beside these.
    pub fn resolve(&self, resolution: usize, more: &impl Serialize) -> anyhow::Result<Settings> {
        let preset = self.preset_name(resolution);
        let preset = Settings::preset(preset, resolution).context("no such preset")?;
        let over_file = match &self.settings {
            None => preset,
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                let table: Map<String, Value> = toml::from_str(&text).with_context(|| path.display().to_string())?;
                preset.with(table).with_context(|| path.display().to_string())?
            }
        };
        Ok(over_file.with(table(self)?)?.with(table(more)?)?)
    }

    /// The preset that was asked for, or the default for this size.
    pub fn preset_name(&self, resolution: usize) -> &str {
        match (&self.preset, resolution) {
            (Some(name), _) => name,
            (None, 256) => "paper256",
            (None, 512) => "paper512",
            (None, 1024) => "paper1024",
            (None, _) => "auto",
        }
    }
}

/// The flags that were given, under their settings' names.
fn table(flags: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    Ok(match serde_json::to_value(flags)? {
        Value::Object(table) => table,
        _ => Map::new(),
    })
}

/// The result of a training.
#[derive(Serialize)]
pub struct Trained {
    run: PathBuf,
    student: PathBuf,
    kimg: f64,
    finished: bool,
    seconds: f64,
    images_per_second: f64,
}

/// Iterates to the settings' end, or to Ctrl-C, and fills the run's folder. The first snapshot is what the training began
/// with; the last is made in both cases.
pub fn drive<A: AutodiffBackend>(
    trainer: &mut Trainer<A>,
    data: &Dataset,
    mut run: RunFolder,
    path: &Path,
    with_critic: bool,
) -> anyhow::Result<Trained> {
    let started = Instant::now();
    let first = trainer.step;
    let batch = trainer.settings.batch as u64;
    let every = trainer.settings.snapshot_iterations();
    let mut saved = None;
    if first == 0 {
        snapshot(trainer, &run, with_critic)?;
        saved = Some(0);
    }
    train(trainer, data, &mut Bar::new(), |losses, trainer| -> anyhow::Result<()> {
        let seconds = started.elapsed().as_secs_f64();
        run.log(&LogLine { images: trainer.step * batch, seconds, losses: *losses })?;
        if trainer.step.is_multiple_of(every) {
            snapshot(trainer, &run, with_critic)?;
            saved = Some(trainer.step);
        }
        Ok(())
    })?;
    if saved != Some(trainer.step) {
        snapshot(trainer, &run, with_critic)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Trained {
        run: path.into(),
        student: run.student(),
        kimg: (trainer.step * batch) as f64 / 1000.0,
        finished: trainer.finished(),
        seconds,
        images_per_second: ((trainer.step - first) * batch) as f64 / seconds,
    })
}

impl Trained {
    /// Prints the result; a training that was stopped ends with Ctrl-C's exit code.
    pub fn finish(&self, settings: &Settings, command: &str, json: bool) -> anyhow::Result<()> {
        super::print(json, self, || {
            format!("{} after {:.1} kimg, {:.1} images/s", self.student.display(), self.kimg, self.images_per_second)
        })?;
        if !self.finished {
            let (done, all, run) = (self.kimg, settings.kimg, self.run.display());
            let text =
                format!("stopped after {done:.1} of {all} kimg; go on with: nickeldime {command} --resume -o {run}");
            return Err(Interrupted(text).into());
        }
        Ok(())
    }
}

/// Writes the student, its grid, and (last) the state: a resumed run finds them in step.
fn snapshot<A: AutodiffBackend>(trainer: &Trainer<A>, run: &RunFolder, with_critic: bool) -> anyhow::Result<()> {
    let images = trainer.step * trainer.settings.batch as u64;
    let student = student(trainer)?;
    write_grid(&student, &run.grid_at(images))?;
    let discriminator = with_critic.then(|| critic(trainer)).transpose()?;
    let checkpoint = Checkpoint { discriminator, ..Checkpoint::of_generator(student) };
    for path in [run.student_at(images), run.student()] {
        write_checkpoint(&path, &checkpoint, &Default::default())?;
    }
    Ok(run.save_state(&state::save(trainer).map_err(CompressError::from)?)?)
}

/// The student's moving average: the product.
pub fn student<A: AutodiffBackend>(trainer: &Trainer<A>) -> anyhow::Result<GeneratorWeights> {
    let average = &trainer.average;
    Ok(GeneratorWeights::from_tensors(names::export(average), average.clamp)?)
}

fn critic<A: AutodiffBackend>(trainer: &Trainer<A>) -> anyhow::Result<DiscriminatorWeights> {
    let network = &trainer.student_critic.network;
    Ok(DiscriminatorWeights::from_tensors(names::export(network), network.b4.group, network.clamp)?)
}

/// Draws a generator at the latents of all grids of a run.
pub fn write_grid(generator: &GeneratorWeights, path: &Path) -> anyhow::Result<()> {
    let latents = Latents::Seeds((0..GRID).collect());
    let drawing = DrawRequest { latents: &latents, psi: 1.0, noise: Some(NoiseMode::Const) };
    let drawn = drawing.in_float(&Preview::new(generator)?, &mut crate::progress::Silent)?;
    Ok(drawn.write_grid(path, COLUMNS)?)
}
