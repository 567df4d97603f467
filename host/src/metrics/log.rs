//! A run's `eval.jsonl`: its metrics against the images that it had seen.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Metrics;

/// One line: one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalLine {
    /// Real images that the run had seen; 0 for its teacher.
    pub images: u64,
    /// Whether its teacher was measured, and not a student.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub teacher: bool,
    /// What was measured.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The extractor's stable name: lines of different extractors cannot be compared.
    pub extractor: String,
    /// Whether that is Inception.
    #[serde(default)]
    pub of_the_paper: bool,
    /// Generated images.
    pub samples: usize,
    /// Images that they were compared with.
    #[serde(default)]
    pub reference_samples: usize,
}

/// The log in a run's folder.
pub fn path(run: &Path) -> PathBuf {
    run.join("eval.jsonl")
}

/// Appends a line.
///
/// # Errors
/// What the file system says.
pub fn append(run: &Path, line: &EvalLine) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    File::options().create(true).append(true).open(path(run))?.write_all(&text)
}
