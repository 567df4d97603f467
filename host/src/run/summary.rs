//! A run's `run.json` as reports read it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{error::RunError, layout};
use crate::{data::Orientation, embed::spec::EmbedSpec};

/// The configuration of a run, for reports. A field that `run.json` does not have is `None`, and unknown fields are
/// ignored, so that runs of older and newer programs are read alike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSummary {
    /// `nickel-dime`, `gan`, ...; `from scratch` or `fine-tuned` for a training of a teacher.
    pub method: Option<String>,
    /// The share of the channels that was removed.
    pub ratio: Option<f64>,
    /// The number of images in an iteration.
    pub batch: Option<u64>,
    /// The seed of every random choice of the run.
    pub seed: Option<u64>,
    /// The teacher's file.
    pub teacher: Option<PathBuf>,
    /// The real images.
    pub data: Option<PathBuf>,
    /// The size that the images were resized to.
    pub resize: Option<usize>,
    /// Whether they were turned upright; runs that do not say so took them as they were stored.
    pub orientation: Option<Orientation>,
    /// The embeddings; none where the run does not say, empty where it had none.
    pub embeddings: Option<Vec<Embedding>>,
    /// One sentence for each part of the published method that the run replaced by something else.
    pub substitutions: Vec<String>,
}

/// An embedding that a run used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Embedding {
    /// The kind of embedder: `small`, `dino`, `clip`, ...
    pub kind: String,
    /// The file of its weights.
    pub path: PathBuf,
    /// The weight of its first moments.
    #[serde(default)]
    pub weight: Option<f64>,
    /// The weight of its second moments; `None` if it is the same.
    #[serde(default)]
    pub second_weight: Option<f64>,
    /// True if the run trained it on its own images.
    #[serde(default)]
    pub own: bool,
}

impl Embedding {
    /// The embedding that a run trains if none is given.
    fn own() -> Self {
        let EmbedSpec { kind, path, weight, .. } = EmbedSpec::own(layout::EMBEDDER.into());
        Self { kind: kind.name().into(), path, weight: Some(weight.into()), second_weight: None, own: true }
    }

    /// True if it is one of the paper's (DINO and CLIP ResNet-50).
    pub fn is_of_the_paper(&self) -> bool {
        ["dino", "clip"].contains(&&self.kind[..])
    }
}

impl RunSummary {
    /// Reads `run.json`.
    ///
    /// # Errors
    /// The file is missing, or is not JSON.
    pub fn read(run: &Path) -> Result<Self, RunError> {
        let file = layout::record(run);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(cause) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&cause.kind()) => {
                return Err(RunError::NotARun(run.into()));
            }
            Err(cause) => return Err(RunError::File { path: file, cause }),
        };
        let value: Value = serde_json::from_slice(&text).map_err(|e| {
            let problem = e.to_string();
            RunError::DamagedLine { path: file, line: e.line(), problem }
        })?;
        Ok(Self::from_value(&value))
    }

    fn from_value(record: &Value) -> Self {
        let setting = |name: &str| record.get("settings").and_then(|settings| settings.get(name));
        let path = |name: &str| record.get(name).and_then(Value::as_str).map(PathBuf::from);
        let mut embeddings: Option<Vec<Embedding>> = record.get("embeds").and_then(|e| Vec::deserialize(e).ok());
        if record.get("own-embedder") == Some(&Value::Bool(true)) {
            embeddings.get_or_insert_default().push(Embedding::own());
        }
        let scratch = record.get("scratch").is_some_and(|shapes| !shapes.is_null());
        let method = match (scratch, path("from")) {
            (true, Some(_)) => Some("fine-tuned"),
            (true, None) => Some("from scratch"),
            (false, _) => setting("method").and_then(Value::as_str),
        };
        Self {
            method: method.map(str::to_string),
            ratio: setting("ratio").and_then(Value::as_f64).filter(|_| !scratch),
            batch: setting("batch").and_then(Value::as_u64),
            seed: setting("seed").and_then(Value::as_u64),
            teacher: path("teacher"),
            data: path("data"),
            resize: record.get("resize").and_then(Value::as_u64).and_then(|size| size.try_into().ok()),
            orientation: record.get("orientation").and_then(|o| Orientation::deserialize(o).ok()),
            embeddings,
            substitutions: record.get("substitutions").and_then(|s| Vec::deserialize(s).ok()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_does_not_say_is_none() {
        let little = serde_json::json!({ "settings": { "ratio": 0.85, "batch": 16, "seed": 3 } });
        let record = RunSummary::from_value(&little);
        assert_eq!((record.ratio, record.batch, record.embeddings), (Some(0.85), Some(16), None));
        let nested = serde_json::json!({
            "teacher": "t.pkl", "data": "d.zip", "embeds": [{ "kind": "small", "path": "e", "weight": 5.0 }],
            "settings": { "method": "gan", "ratio": 0.9 },
        });
        let record = RunSummary::from_value(&nested);
        assert_eq!((record.method.as_deref(), record.data), (Some("gan"), Some("d.zip".into())));
        assert!(!record.embeddings.unwrap()[0].is_of_the_paper());
        let own = RunSummary::from_value(&serde_json::json!({ "embeds": [], "own-embedder": true, "settings": {} }));
        assert_eq!(own.embeddings.unwrap(), [Embedding::own()]);
    }
}
