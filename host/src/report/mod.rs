//! What runs have done, for people to look at: one page with plots, grids and numbers.
//!
//! [`RunData::read`] takes a run's folder in, [`figures`] plots what it logged, [`page`] writes it all into one HTML file
//! that fetches nothing. A plot is a [`scene::Scene`]: SVG, or pixels.

mod axis;
pub mod figures;
pub mod page;
mod picture;
pub mod plot;
mod raster;
pub mod run;
pub mod scene;
pub mod series;

use nickeldime_checkpoint::model::cost::Cost;
use std::path::{Path, PathBuf};

use crate::metrics::log::EvalLine;
use run::{LogLine, Record, RunError};

/// What a report says about a run.
#[derive(Debug, Clone)]
pub struct RunData {
    /// Different for every run of a report.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What was asked for.
    pub record: Record,
    /// Its iterations.
    pub log: Vec<LogLine>,
    /// Evaluations of its students.
    pub evals: Vec<EvalLine>,
    /// Evaluations of its teacher.
    pub teacher_evals: Vec<EvalLine>,
    /// Its grids, by images seen.
    pub grids: Vec<(u64, PathBuf)>,
    /// The teacher's, at the same latents.
    pub teacher_grid: Option<PathBuf>,
    /// What the student costs.
    pub student: Option<Cost>,
    /// What its teacher costs.
    pub teacher: Option<Cost>,
}

impl RunData {
    /// Reads a run's folder. Its networks are not opened: [`RunData::student`] and [`RunData::teacher`] are none.
    ///
    /// # Errors
    /// No run in the folder, or a damaged file in it.
    pub fn read(folder: &Path, name: String) -> Result<Self, RunError> {
        let record = Record::read(folder)?;
        let (teacher_evals, evals) = run::eval_lines(folder)?.into_iter().partition(|line| line.teacher);
        let teacher_grid = Some(run::teacher_grid(folder)).filter(|path| path.is_file());
        Ok(Self {
            name,
            folder: folder.into(),
            record,
            log: run::log_lines(folder)?,
            evals,
            teacher_evals,
            grids: run::grids(folder)?,
            teacher_grid,
            student: None,
            teacher: None,
        })
    }
}

/// Names for runs: their folders' last parts, as many as it takes to tell them apart.
pub fn names(folders: &[PathBuf]) -> Vec<String> {
    let last = |path: &Path, parts: usize| {
        let all: Vec<_> = path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        all[all.len().saturating_sub(parts)..].join("/")
    };
    let distinct = |names: &[String]| names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    let longest = folders.iter().map(|path| path.components().count()).max().unwrap_or(1);
    let named = |parts| -> Vec<String> { folders.iter().map(|path| last(path, parts)).collect() };
    (1..=longest).map(named).find(|names| distinct(names)).unwrap_or_else(|| {
        folders.iter().enumerate().map(|(n, path)| format!("{} ({})", last(path, 1), n + 1)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_name_are_told_apart() {
        let named = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(named(&["a/gan", "a/dime/"]), ["gan", "dime"]);
        assert_eq!(named(&["a/run", "b/run"]), ["a/run", "b/run"]);
        assert_eq!(named(&["run", "run"]), ["run (1)", "run (2)"]);
    }
}
