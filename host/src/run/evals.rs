//! A run's `eval.jsonl`, which has one line for each evaluation.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{error::RunError, layout, log::lines};
use crate::metrics::Metrics;

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

/// Appends a line to the log of a run.
///
/// # Errors
/// Errors of the file system.
pub fn append(run: &Path, line: &EvalLine) -> Result<(), RunError> {
    let path = layout::evals(run);
    append_to(&path, line).map_err(|cause| RunError::File { path, cause })
}

fn append_to(path: &Path, line: &EvalLine) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    File::options().create(true).append(true).open(path)?.write_all(&text)
}

/// The evaluations of a run, by images seen; empty without a log.
///
/// # Errors
/// A damaged line, other than a last line that is cut short.
pub fn eval_lines(run: &Path) -> Result<Vec<EvalLine>, RunError> {
    let mut lines: Vec<EvalLine> = lines(&layout::evals(run))?;
    lines.sort_by_key(|line| line.images);
    Ok(lines)
}
