//! Reports about runs: one page with plots, grids and numbers.
//!
//! [`RunData::read`] reads a run's folder, [`figures`] plots what it logged, and [`page`] writes everything into one HTML file
//! that fetches nothing. A plot is a [`scene::Scene`], which becomes SVG or pixels.
//!
//! The plots are drawn here and not by `plotters`, which rounds SVG points to whole pixels, labels a logarithmic axis of less
//! than a decade once, and cannot leave its colours to the page (light or dark).

mod axis;
pub mod figures;
pub mod page;
mod picture;
pub mod plot;
mod raster;
pub mod scene;
pub mod series;

use nickeldime_checkpoint::model::cost::Cost;
use std::path::{Path, PathBuf};

use crate::run::{EvalLine, LoggedIteration, RunError, RunSummary, evals, layout, log};

/// Everything that a report says about one run.
#[derive(Debug, Clone)]
pub struct RunData {
    /// The run's name, unique within a report.
    pub name: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// The run's configuration, as saved in `run.json`.
    pub record: RunSummary,
    /// One line for each iteration.
    pub log: Vec<LoggedIteration>,
    /// Evaluations of its students.
    pub evals: Vec<EvalLine>,
    /// Evaluations of its teacher.
    pub teacher_evals: Vec<EvalLine>,
    /// Its grids of images, each with the number of real images seen before it.
    pub grids: Vec<(u64, PathBuf)>,
    /// The teacher's grid of the same latents, if the run has one.
    pub teacher_grid: Option<PathBuf>,
    /// The student's parameters and MACs, if its file could be read.
    pub student: Option<Cost>,
    /// The teacher's parameters and MACs, if its file could be read.
    pub teacher: Option<Cost>,
}

impl RunData {
    /// Reads a run's folder. Networks are not opened: [`RunData::student`] and [`RunData::teacher`] stay
    /// `None`.
    ///
    /// # Errors
    /// The folder is not a run's, or a file in it is damaged.
    pub fn read(folder: &Path, name: String) -> Result<Self, RunError> {
        let record = RunSummary::read(folder)?;
        let (teacher_evals, evals) = evals::eval_lines(folder)?.into_iter().partition(|line| line.teacher);
        let teacher_grid = Some(layout::teacher_grid(folder)).filter(|path| path.is_file());
        Ok(Self {
            name,
            folder: folder.into(),
            record,
            log: log::log_lines(folder)?,
            evals,
            teacher_evals,
            grids: layout::grids(folder)?,
            teacher_grid,
            student: None,
            teacher: None,
        })
    }
}

/// Names for runs: the last components of their folders, as many as it takes to make every name unique.
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
