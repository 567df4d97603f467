//! The parts that `compress` and `train` share: the flags for settings, and the report of a training.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Interrupted;
use crate::{
    compress::settings::{PRESETS, Settings},
    run::Trained,
};

/// Flags for settings, which override those of a file, which override those of a preset.
#[derive(Clone, clap::Args, Serialize)]
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
    /// The length of the training, in thousands of real images. It may be given with --resume, to make a run longer.
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
    /// Makes a resumed run as long as these flags say. Everything else keeps to its end what it began with: no other
    /// flag, and none of `more`, may be given.
    pub fn lengthen(&self, more: &impl Serialize, settings: &mut Settings) -> anyhow::Result<()> {
        let others = Self { kimg: None, ..self.clone() };
        let given =
            self.preset.is_some() || self.settings.is_some() || !table(&others)?.is_empty() || !table(more)?.is_empty();
        ensure!(!given, "a resumed run keeps its settings, all but a longer --kimg; begin a new run to change them");
        if let Some(kimg) = self.kimg {
            let before = settings.kimg;
            ensure!(kimg >= before, "--kimg {kimg}: the run is one of {before} kimg, and can only become longer");
            *settings = settings.lengthened(kimg);
        }
        Ok(())
    }

    /// The settings for images of `resolution`. `more` holds further flags.
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

    /// The name of the preset that was asked for, or of the default for this size.
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

/// The flags that were given, by their settings' names.
fn table(flags: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    Ok(match serde_json::to_value(flags)? {
        Value::Object(table) => table,
        _ => Map::new(),
    })
}

/// Prints the result of a training. A training that was stopped ends with Ctrl-C's exit code.
pub fn finish(trained: &Trained, settings: &Settings, command: &str, json: bool) -> anyhow::Result<()> {
    super::print(json, trained, || {
        format!(
            "{} after {:.1} kimg, {:.1} images/s",
            trained.student.display(),
            trained.kimg,
            trained.images_per_second
        )
    })?;
    if !trained.finished {
        let (done, all, run) = (trained.kimg, settings.kimg, trained.run.display());
        let text = format!("stopped after {done:.1} of {all} kimg; go on with: nickeldime {command} --resume -o {run}");
        return Err(Interrupted(text).into());
    }
    Ok(())
}
