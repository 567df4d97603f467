//! A run's `eval.jsonl`, which has one line for each evaluation.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Metrics;

/// One evaluation, which is one line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalLine {
    /// The number of real images that the run had seen; 0 for its teacher.
    pub images: u64,
    /// True if the teacher was measured, false for a student.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub teacher: bool,
    /// The values of the metrics.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The extractor's name. Values of different extractors cannot be compared.
    pub extractor: String,
    /// True if the extractor is Inception.
    #[serde(default)]
    pub of_the_paper: bool,
    /// The number of generated images.
    pub samples: usize,
    /// The number of images that the generated ones were compared with.
    #[serde(default)]
    pub reference_samples: usize,
}

/// The path of the log in a run's folder.
pub fn path(run: &Path) -> PathBuf {
    run.join("eval.jsonl")
}

/// Appends a line to the log of a run.
///
/// # Errors
/// Errors of the file system.
pub fn append(run: &Path, line: &EvalLine) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    File::options().create(true).append(true).open(path(run))?.write_all(&text)
}
