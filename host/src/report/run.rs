//! A run's folder, as far as metrics and reports read it.
//!
//! ```text
//! run.json                    what was asked for
//! log.jsonl                   one line an iteration: losses and mean logits
//! eval.jsonl                  one line an evaluation
//! student.safetensors         the newest student
//! students/N.safetensors      students by images seen
//! grids/teacher.png, N.png    the same latents over time
//! ```

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    embed::spec::EmbedSpec,
    metrics::log::{self, EvalLine},
    run::{RECORD, student_of},
};

/// A run's folder could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The file system said no.
    #[error("{}: {cause}", .file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A line or file is damaged.
    #[error("{}: line {line}: {problem}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// There is no run in the folder.
    #[error("{}: not a run: it has no run.json", .0.display())]
    NoRun(PathBuf),
}

/// Whether a path is a run's folder.
pub fn is_run(path: &Path) -> bool {
    path.join(RECORD).is_file() || student_of(path).is_file()
}

/// The students that a run has kept, by images seen.
///
/// # Errors
/// What the file system says, unless there are none.
pub fn snapshots(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&run.join("students"), "safetensors")
}

/// The grids of a run, by images seen.
///
/// # Errors
/// What the file system says, unless there are none.
pub fn grids(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&run.join("grids"), "png")
}

/// The teacher's grid of a run; it may not be there.
pub fn teacher_grid(run: &Path) -> PathBuf {
    run.join("grids").join("teacher.png")
}

/// The images that a run had seen when it last wrote into its log; none without a log.
///
/// # Errors
/// A damaged log.
pub fn images_seen(run: &Path) -> Result<Option<u64>, RunError> {
    Ok(log_lines(run)?.last().map(|line| line.images))
}

/// What a run was asked for. Fields that a run does not say are none; unknown ones are left aside, so that old and new
/// runs are read alike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// `nickel-dime`, `gan`, ...; `from scratch` for a training of a teacher.
    pub method: Option<String>,
    /// Share of the channels removed.
    pub ratio: Option<f64>,
    /// Images an iteration.
    pub batch: Option<u64>,
    /// Of all randomness.
    pub seed: Option<u64>,
    /// The teacher's file.
    pub teacher: Option<PathBuf>,
    /// The real images.
    pub data: Option<PathBuf>,
    /// The size that they were brought to.
    pub resize: Option<usize>,
    /// The embeddings; none where the run does not say, empty where it had none.
    pub embeddings: Option<Vec<Embedding>>,
}

/// An embedding that a run used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Embedding {
    /// `small`, `dino`, `clip`, ...
    pub kind: String,
    /// Its weights' file.
    pub path: PathBuf,
    /// The weight of its moments.
    #[serde(default)]
    pub weight: Option<f64>,
    /// The weight of its second moments, where that is another.
    #[serde(default)]
    pub second_weight: Option<f64>,
    /// Whether the run trained it on its own images.
    #[serde(default)]
    pub own: bool,
}

impl Embedding {
    /// The one that a run makes where none is given.
    fn own() -> Self {
        let EmbedSpec { kind, path, weight, .. } = EmbedSpec::own("embedder.safetensors".into());
        Self { kind: kind.name().into(), path, weight: Some(weight.into()), second_weight: None, own: true }
    }

    /// Whether it is one of the paper's (DINO and CLIP ResNet-50).
    pub fn is_of_the_paper(&self) -> bool {
        ["dino", "clip"].contains(&&self.kind[..])
    }
}

impl Record {
    /// Reads `run.json`.
    ///
    /// # Errors
    /// Not there, or not JSON.
    pub fn read(run: &Path) -> Result<Self, RunError> {
        let file = run.join(RECORD);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(cause) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&cause.kind()) => {
                return Err(RunError::NoRun(run.into()));
            }
            Err(cause) => return Err(RunError::Io { file, cause }),
        };
        let value: Value = serde_json::from_slice(&text).map_err(|e| {
            let problem = e.to_string();
            RunError::Damaged { file, line: e.line(), problem }
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
        let method = if scratch { Some("from scratch") } else { setting("method").and_then(Value::as_str) };
        Self {
            method: method.map(str::to_string),
            ratio: setting("ratio").and_then(Value::as_f64).filter(|_| !scratch),
            batch: setting("batch").and_then(Value::as_u64),
            seed: setting("seed").and_then(Value::as_u64),
            teacher: path("teacher"),
            data: path("data"),
            resize: record.get("resize").and_then(Value::as_u64).and_then(|size| size.try_into().ok()),
            embeddings,
        }
    }
}

/// Mean logits of a critic; none where they were not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Logits {
    /// On real images.
    pub real: Option<f64>,
    /// On the student's images.
    pub fake: Option<f64>,
}

/// One iteration. What a run does not log, or what was not finite, is none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// Real images seen.
    pub images: u64,
    /// The critics' feedback to the student.
    pub feedback: Option<f64>,
    /// DiME.
    pub dime: Option<f64>,
    /// The distance to the teacher's image.
    pub l1: Option<f64>,
    /// The student critic's logistic loss.
    pub student_critic: Option<f64>,
    /// The teacher critic's.
    pub teacher_critic: Option<f64>,
    /// Feature matching.
    pub matching: Option<f64>,
    /// Path length; 0 where it was not its turn.
    pub path: Option<f64>,
    /// R1; 0 where it was not its turn.
    pub r1: Option<f64>,
    /// The student critic's mean logits.
    pub student_logits: Option<Logits>,
    /// The teacher critic's.
    pub teacher_logits: Option<Logits>,
    /// Gradient entries that were not finite.
    pub replaced: u64,
}

/// The iterations of a run, in order; none without a log.
///
/// # Errors
/// A damaged line, other than a last one that is cut short.
pub fn log_lines(run: &Path) -> Result<Vec<LogLine>, RunError> {
    lines(&run.join("log.jsonl"))
}

/// The evaluations of a run, by images seen; none without a log.
///
/// # Errors
/// A damaged line, other than a last one that is cut short.
pub fn eval_lines(run: &Path) -> Result<Vec<EvalLine>, RunError> {
    let mut lines: Vec<EvalLine> = lines(&log::path(run))?;
    lines.sort_by_key(|line| line.images);
    Ok(lines)
}

fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, RunError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(RunError::Io { file: file.into(), cause }),
    };
    let mut found = Vec::new();
    for (n, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(line) => found.push(line),
            // The run is writing it, or was killed while it did.
            Err(_) if line.last() != Some(&b'\n') => break,
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(e) => {
                return Err(RunError::Damaged { file: file.into(), line: n + 1, problem: e.to_string() });
            }
        }
    }
    Ok(found)
}

/// The files in a folder whose names are numbers.
fn numbered(folder: &Path, extension: &str) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let io = |cause| RunError::Io { file: folder.into(), cause };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(io(cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == extension)) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_does_not_say_is_none() {
        let little = serde_json::json!({ "settings": { "ratio": 0.85, "batch": 16, "seed": 3 } });
        let record = Record::from_value(&little);
        assert_eq!((record.ratio, record.batch, record.embeddings), (Some(0.85), Some(16), None));
        let nested = serde_json::json!({
            "teacher": "t.pkl", "data": "d.zip", "embeds": [{ "kind": "small", "path": "e", "weight": 5.0 }],
            "settings": { "method": "gan", "ratio": 0.9 },
        });
        let record = Record::from_value(&nested);
        assert_eq!((record.method.as_deref(), record.data), (Some("gan"), Some("d.zip".into())));
        assert!(!record.embeddings.unwrap()[0].is_of_the_paper());
        let own = Record::from_value(&serde_json::json!({ "embeds": [], "own-embedder": true, "settings": {} }));
        assert_eq!(own.embeddings.unwrap(), [Embedding::own()]);
    }

    #[test]
    fn a_log_may_end_in_the_middle_of_a_line_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.jsonl");
        // JSON has no NaN: it is written as null.
        let nan = r#"{"images": 32, "dime": null, "student_logits": {"real": null, "fake": -1.0}}"#;
        fs::write(&file, format!("{{\"images\": 16, \"dime\": 1.5, \"new\": 1}}\n{nan}\n{{\"ima")).unwrap();
        let found = log_lines(folder.path()).unwrap();
        assert_eq!(found.iter().map(|l| l.images).collect::<Vec<_>>(), [16, 32]);
        assert_eq!((found[0].dime, found[1].dime), (Some(1.5), None));
        assert_eq!(found[1].student_logits, Some(Logits { real: None, fake: Some(-1.0) }));
        fs::write(&file, "{\"images\": 16}\n{\"ima\n{\"images\": 48}\n").unwrap();
        let damaged = log_lines(folder.path()).unwrap_err().to_string();
        assert!(damaged.contains("log.jsonl: line 2"), "{damaged}");
        assert_eq!(log_lines(&folder.path().join("none")).unwrap(), []);
    }
}
