//! A run's `log.jsonl`, which has one line for each iteration. [`LogLine`] is a line as the training writes it.
//! [`LoggedIteration`] is a line as reports read it, and also accepts the lines of older and newer programs.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{error::RunError, layout};
use crate::compress::trainer::Losses;

/// One line of the log, as the training writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Number of real images seen.
    pub images: u64,
    /// Seconds of training in this process.
    pub seconds: f64,
    /// The losses of the iteration.
    #[serde(flatten)]
    pub losses: Losses,
}

/// The mean logits of a critic; `None` for a value that was not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct LoggedLogits {
    /// The mean logit on real images.
    pub real: Option<f64>,
    /// The mean logit on the student's images.
    pub fake: Option<f64>,
}

/// One iteration. A value is `None` if the run does not log it or if it was not finite.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LoggedIteration {
    /// Number of real images seen.
    pub images: u64,
    /// Seconds since training began, or since it was resumed.
    pub seconds: Option<f64>,
    /// The critics' feedback to the student.
    pub feedback: Option<f64>,
    /// The DiME loss.
    pub dime: Option<f64>,
    /// The distance to the teacher's image.
    pub l1: Option<f64>,
    /// The perceptual distance to the teacher's image.
    pub perceptual: Option<f64>,
    /// The difference between the relations of the student's and the teacher's samples.
    pub relation: Option<f64>,
    /// The bound on shared information, from the energy network.
    pub energy: Option<f64>,
    /// The student critic's logistic loss.
    pub student_critic: Option<f64>,
    /// The teacher critic's logistic loss.
    pub teacher_critic: Option<f64>,
    /// The feature matching loss.
    pub matching: Option<f64>,
    /// The path length penalty; 0 in iterations without it.
    pub path: Option<f64>,
    /// The R1 penalty; 0 in iterations without it.
    pub r1: Option<f64>,
    /// The student critic's mean logits.
    pub student_logits: Option<LoggedLogits>,
    /// The teacher critic's mean logits.
    pub teacher_logits: Option<LoggedLogits>,
    /// Number of gradient entries that were not finite.
    pub replaced: u64,
}

/// Images seen in a second of training, evaluations and snapshots left out; `None` where the log does not say.
pub fn images_a_second(log: &[LoggedIteration]) -> Option<f64> {
    let steps = log.iter().zip(log.iter().skip(1)).filter_map(|(before, after)| {
        let seconds = after.seconds? - before.seconds?;
        // A resumed run counts from 0 again.
        let images = after.images.checked_sub(before.images)?;
        (seconds > 0.0).then_some((images as f64, seconds))
    });
    let (images, seconds) = steps.fold((0.0, 0.0), |(images, seconds), (i, s)| (images + i, seconds + s));
    (seconds > 0.0).then_some(images / seconds)
}

/// The iterations of a run, in order; empty without a log.
///
/// # Errors
/// A damaged line, other than a last line that is cut short.
pub fn log_lines(run: &Path) -> Result<Vec<LoggedIteration>, RunError> {
    lines(&layout::log(run))
}

/// Number of images that a run had seen when it last wrote into its log; `None` without a log.
///
/// # Errors
/// A damaged log.
pub fn images_seen(run: &Path) -> Result<Option<u64>, RunError> {
    Ok(log_lines(run)?.last().map(|line| line.images))
}

/// The lines of a JSON-lines file; empty without the file.
pub(super) fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, RunError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(RunError::File { path: file.into(), cause }),
    };
    let mut found = Vec::new();
    for (n, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(line) => found.push(line),
            // The run is still writing this line, or was killed while it did.
            Err(_) if line.last() != Some(&b'\n') => break,
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(e) => {
                return Err(RunError::DamagedLine { path: file.into(), line: n + 1, problem: e.to_string() });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_may_end_in_the_middle_of_a_line_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.jsonl");
        // JSON has no NaN, which is written as null.
        let nan = r#"{"images": 32, "dime": null, "student_logits": {"real": null, "fake": -1.0}}"#;
        fs::write(&file, format!("{{\"images\": 16, \"dime\": 1.5, \"new\": 1}}\n{nan}\n{{\"ima")).unwrap();
        let found = log_lines(folder.path()).unwrap();
        assert_eq!(found.iter().map(|l| l.images).collect::<Vec<_>>(), [16, 32]);
        assert_eq!((found[0].dime, found[1].dime), (Some(1.5), None));
        assert_eq!(found[1].student_logits, Some(LoggedLogits { real: None, fake: Some(-1.0) }));
        fs::write(&file, "{\"images\": 16}\n{\"ima\n{\"images\": 48}\n").unwrap();
        let damaged = log_lines(folder.path()).unwrap_err().to_string();
        assert!(damaged.contains("log.jsonl: line 2"), "{damaged}");
        assert_eq!(log_lines(&folder.path().join("none")).unwrap(), []);
    }
}
