//! The settings of a training: a preset, overridden by a file, overridden by flags.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    method::{Criterion, CriticStart, Method},
    mmd::Mmd,
};

/// The treatment of a pruned start before it is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Refine {
    /// The weights stay as they were.
    #[default]
    #[serde(rename = "none")]
    #[value(name = "none")]
    Unchanged,
    /// Singular value scaling.
    Svs,
}

/// The settings of a training. A settings file (TOML) uses the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The method, which says what the student learns from.
    pub method: Method,
    /// The share of the channels to remove, in [0, 1).
    pub ratio: f64,
    /// The criterion that scores channels. `None` uses the method's own.
    #[serde(default)]
    pub criterion: Option<Criterion>,
    /// The student critic's start. `None` uses the method's own.
    #[serde(default)]
    pub critic_start: Option<CriticStart>,
    /// The treatment of the pruned start before training.
    #[serde(default)]
    pub refine: Refine,
    /// The length of GAN Slimming's sparse stage, in thousands of images; it trains the dense student before pruning.
    /// `None` means a quarter of `kimg`, and 0 leaves the stage out.
    #[serde(default)]
    pub sparse_kimg: Option<f64>,
    /// The number of pruned starts that are compared by the Fréchet distance of their images from the teacher's; the
    /// nearest one is trained. `None` means four with DiME, which has embeddings to compare them in, and otherwise one.
    #[serde(default)]
    pub starts: Option<usize>,
    /// The number of images that DiME takes a batch's moments over. `None` means the whole batch.
    #[serde(default)]
    pub dime_batch: Option<usize>,
    /// The number of teacher images that channels are scored with.
    pub score_samples: usize,
    /// The number of teacher images that global moments are measured over.
    pub moment_samples: usize,
    /// The way in which distributions are compared in an embedding.
    #[serde(default)]
    pub mmd: Mmd,
    /// The number of teacher images in the feature bank of an MMD kernel.
    #[serde(default = "bank_samples")]
    pub bank_samples: usize,
    /// The length of the training of the run's own embedder, in thousands of images, if no embedding is given.
    #[serde(default = "embedder_kimg")]
    pub embedder_kimg: f64,
    /// The length of the training, in thousands of real images that the critics see.
    pub kimg: f64,
    /// The batch size.
    pub batch: usize,
    /// Adam's learning rate.
    pub lr: f64,
    /// The weight of R1 (gamma).
    pub gamma: f32,
    /// The half-life of the student's moving average, in thousands of images.
    pub ema_kimg: f64,
    /// Limits the half-life to this share of the images seen so far; `None` sets no limit.
    pub ema_rampup: Option<f64>,
    /// The probability of style mixing.
    pub mixing: f64,
    /// True if real images are mirrored at random.
    pub mirror: bool,
    /// The number of iterations between path length steps; 0 leaves path length out.
    pub path_interval: u32,
    /// The number of iterations between R1 steps.
    pub r1_interval: u32,
    /// The distance between snapshots, in thousands of images.
    pub snapshot_kimg: f64,
    /// The seed of every random choice of the run.
    pub seed: u64,
}

/// The largest batch size. At every resolution the indices of a batch's random numbers fit into 32 bits.
const MAX_BATCH: usize = 1024;

/// The largest feature bank. The kernel is computed once for all pairs of its images.
const MAX_BANK: usize = 8192;

/// The largest number of pruned starts that are compared.
const MAX_STARTS: usize = 64;

fn bank_samples() -> usize {
    1024
}

fn embedder_kimg() -> f64 {
    30.0
}

/// StyleGAN2-ADA's training configurations (`cifar` with this project's discriminator instead of the `orig` one).
pub const PRESETS: [&str; 6] = ["auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar"];

/// A setting is out of range; the text is a sentence that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(String);

impl Default for Settings {
    /// The paper's settings for 256x256 (`docs/method.md` section 5).
    fn default() -> Self {
        Self {
            method: Method::NickelDime,
            ratio: 0.9,
            criterion: None,
            critic_start: None,
            refine: Refine::Unchanged,
            sparse_kimg: None,
            starts: None,
            dime_batch: None,
            score_samples: 400,
            moment_samples: 50_000,
            mmd: Mmd::Moments,
            bank_samples: bank_samples(),
            embedder_kimg: embedder_kimg(),
            kimg: 25_000.0,
            batch: 64,
            lr: 0.0025,
            gamma: 1.0,
            ema_kimg: 20.0,
            ema_rampup: None,
            mixing: 0.9,
            mirror: true,
            path_interval: 4,
            r1_interval: 16,
            snapshot_kimg: 200.0,
            seed: 0,
        }
    }
}

impl Settings {
    /// The preset of this name, one of [`PRESETS`], for images of `resolution`.
    pub fn preset(name: &str, resolution: usize) -> Option<Self> {
        let at = |batch, lr, gamma, ema_kimg| Self { batch, lr, gamma, ema_kimg, ..Self::default() };
        Some(match name {
            "auto" => {
                let batch = (4096 / resolution.max(1)).clamp(1, 32);
                let gamma = 0.0002 * (resolution * resolution) as f32 / batch as f32;
                let lr = if resolution >= 1024 { 0.002 } else { 0.0025 };
                Self { ema_rampup: Some(0.05), ..at(batch, lr, gamma, batch as f64 * 10.0 / 32.0) }
            }
            "stylegan2" => at(32, 0.002, 10.0, 10.0),
            "paper256" => Self::default(),
            "paper512" => at(64, 0.0025, 0.5, 20.0),
            "paper1024" => at(32, 0.002, 2.0, 10.0),
            "cifar" => {
                let preset = at(64, 0.0025, 0.01, 500.0);
                Self { kimg: 100_000.0, ema_rampup: Some(0.05), mixing: 0.0, path_interval: 0, ..preset }
            }
            _ => return None,
        })
    }

    /// These settings with the values that a table of names and values replaces, as in a settings file.
    ///
    /// # Errors
    /// The table has a name that is not a setting's, or a value of the wrong type.
    pub fn with(&self, replaced: Map<String, Value>) -> Result<Self, SettingError> {
        let wrong = |e: serde_json::Error| SettingError(e.to_string());
        let Value::Object(mut all) = serde_json::to_value(self).map_err(wrong)? else {
            return Err(SettingError("settings are a table".into()));
        };
        // JSON has no NaN and no infinity: they come as null.
        if let Some((name, _)) = replaced.iter().find(|(_, value)| value.is_null()) {
            return Err(SettingError(format!("{name}: must be a finite number")));
        }
        all.extend(replaced);
        serde_json::from_value(Value::Object(all)).map_err(wrong)
    }

    /// Checks every setting, and that the batch fits this minibatch-deviation group.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self, critic_group: usize) -> Result<(), SettingError> {
        let Self { batch, ratio, kimg, lr, gamma, mixing, ema_kimg, snapshot_kimg, .. } = *self;
        let group = critic_group.max(1);
        let rules = [
            ((0.0..1.0).contains(&ratio), format!("ratio {ratio}: must be at least 0 and below 1")),
            (
                (2..=MAX_BATCH).contains(&batch) && (batch < group || batch % group == 0),
                format!(
                    "batch {batch}: must be between 2 and {MAX_BATCH}, and a multiple of the critic's group of {group} or below it"
                ),
            ),
            ((0.0..1e9).contains(&kimg), format!("kimg {kimg}: must be 0 or more, and below 1e9")),
            (
                (0.0..1e6).contains(&self.embedder_kimg),
                format!("embedder-kimg {}: must be 0 or more, and below 1e6", self.embedder_kimg),
            ),
            (lr > 0.0 && lr.is_finite(), format!("lr {lr}: must be above 0")),
            (gamma >= 0.0 && gamma.is_finite(), format!("gamma {gamma}: must be 0 or more")),
            ((0.0..=1.0).contains(&mixing), format!("mixing {mixing}: must be between 0 and 1")),
            (ema_kimg >= 0.0, format!("ema-kimg {ema_kimg}: must be 0 or more")),
            (self.ema_rampup.is_none_or(|r| r >= 0.0), "ema-rampup: must be 0 or more".into()),
            (snapshot_kimg > 0.0, format!("snapshot-kimg {snapshot_kimg}: must be above 0")),
            (self.r1_interval > 0, "r1-interval: must be at least 1".into()),
            (
                (2..=MAX_BANK).contains(&self.bank_samples),
                format!("bank-samples {}: must be between 2 and {MAX_BANK}", self.bank_samples),
            ),
            (
                self.sparse_kimg.is_none_or(|k| (0.0..1e9).contains(&k)),
                "sparse-kimg: must be 0 or more, and below 1e9".into(),
            ),
            (
                self.starts.is_none_or(|n| (1..=MAX_STARTS).contains(&n)),
                format!("starts {}: must be between 1 and {MAX_STARTS}", self.starts.unwrap_or_default()),
            ),
            (
                self.dime_batch.is_none_or(|n| n > 0 && batch % n == 0),
                format!("dime-batch: must divide the batch of {batch}"),
            ),
            (self.score_samples > 0 && self.moment_samples > 0, "sample counts: must be at least 1".into()),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, problem)| Err(SettingError(problem)))
    }

    /// The criterion that scores channels for pruning.
    pub fn criterion(&self) -> Criterion {
        self.criterion.unwrap_or(self.method.criterion())
    }

    /// The student critic's start.
    pub fn critic_start(&self) -> CriticStart {
        self.critic_start.unwrap_or(self.method.critic_start())
    }

    /// The length of the sparse stage in thousands of images; 0 for every method except GAN Slimming.
    pub fn sparse_kimg(&self) -> f64 {
        if self.method == Method::Gs { self.sparse_kimg.unwrap_or(self.kimg / 4.0) } else { 0.0 }
    }

    /// The settings of the same run, gone on with to another length.
    pub fn lengthened(&self, kimg: f64) -> Self {
        // The sparse stage is over: its default length is a share of the length that the run began with.
        let sparse_kimg = if self.method == Method::Gs { Some(self.sparse_kimg()) } else { self.sparse_kimg };
        Self { kimg, sparse_kimg, ..self.clone() }
    }

    /// The number of pruned starts that are compared. Criteria that draw no random numbers have only one.
    pub fn starts(&self) -> usize {
        match self.criterion() {
            Criterion::Magnitude | Criterion::Style => 1,
            _ => self.starts.unwrap_or(if self.method.parts().dime { 4 } else { 1 }),
        }
    }

    /// True if the run uses an embedding: for DiME, for the perceptual distance, or to choose among several starts.
    pub fn needs_an_embedding(&self) -> bool {
        let parts = self.method.parts();
        parts.dime || parts.perceptual || self.starts() > 1
    }

    /// The number of iterations of the whole run.
    pub fn iterations(&self) -> u64 {
        (self.kimg * 1000.0 / self.batch as f64).ceil() as u64
    }

    /// The number of iterations between snapshots.
    pub fn snapshot_iterations(&self) -> u64 {
        ((self.snapshot_kimg * 1000.0 / self.batch as f64).round() as u64).max(1)
    }

    /// The share of the moving average that iteration `step` (counted from 0) keeps.
    pub fn ema_keep(&self, step: u64) -> f32 {
        let seen = step as f64 * self.batch as f64;
        let ramp = self.ema_rampup.map_or(f64::INFINITY, |r| seen * r);
        let half_life = (self.ema_kimg * 1000.0).min(ramp).max(1e-8);
        0.5f64.powf(self.batch as f64 / half_life) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_what_it_names_and_nothing_else() {
        let Value::Object(table) = serde_json::json!({ "batch": 16, "method": "gan" }) else { unreachable!() };
        let settings = Settings::default().with(table).unwrap();
        assert_eq!(settings, Settings { batch: 16, method: Method::Gan, ..Settings::default() });
        for (name, value) in [("bach", Value::from(16)), ("batch", Value::from(-1)), ("method", Value::from("magic"))] {
            let table = Map::from_iter([(name.to_string(), value)]);
            assert!(Settings::default().with(table).is_err(), "{name}");
        }
    }

    #[test]
    fn every_preset_can_be_trained() {
        for name in PRESETS {
            Settings::preset(name, 256).unwrap().check(4).unwrap();
        }
        assert_eq!(Settings::preset("auto", 256).unwrap().batch, 16);
        assert!(Settings::preset("paper", 256).is_none());
    }

    #[test]
    fn what_cannot_be_trained_is_named() {
        let bad = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check(8).unwrap_err().to_string()
        };
        assert!(bad(|s| s.ratio = f64::NAN).contains("ratio"));
        assert!(bad(|s| s.batch = 12).contains("batch"));
        assert!(bad(|s| s.kimg = f64::INFINITY).contains("kimg"));
        assert!(bad(|s| s.lr = f64::NAN).contains("lr"));
        assert!(bad(|s| s.ema_kimg = f64::NAN).contains("ema"));
        assert!(bad(|s| s.r1_interval = 0).contains("interval"));
    }
}
