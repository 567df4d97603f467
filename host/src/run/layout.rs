//! The names of the files in a run's folder.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::error::RunError;

/// The name of a run's own embedder.
pub const EMBEDDER: &str = "embedder.safetensors";

/// The configuration.
pub fn record(run: &Path) -> PathBuf {
    run.join("run.json")
}

/// The log of the training.
pub fn log(run: &Path) -> PathBuf {
    run.join("log.jsonl")
}

/// The log of the evaluations.
pub fn evals(run: &Path) -> PathBuf {
    run.join("eval.jsonl")
}

/// The state that a resumed run continues from.
pub fn state(run: &Path) -> PathBuf {
    run.join("state")
}

/// The teacher's global moments.
pub fn moments(run: &Path) -> PathBuf {
    run.join("moments.safetensors")
}

/// The folder of the teacher's features.
pub fn bank(run: &Path) -> PathBuf {
    run.join("bank")
}

/// The folder of the students.
pub fn students(run: &Path) -> PathBuf {
    run.join("students")
}

/// The folder of the grids.
pub fn grids_folder(run: &Path) -> PathBuf {
    run.join("grids")
}

/// The newest student.
pub fn student_of(run: &Path) -> PathBuf {
    run.join("student.safetensors")
}

/// Whether a path is a run's folder.
pub fn is_run(path: &Path) -> bool {
    record(path).is_file() || student_of(path).is_file()
}

/// The students that a run has kept, by images seen.
///
/// # Errors
/// What the file system says, unless there are none.
pub fn snapshots(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&students(run), "safetensors")
}

/// The grids of a run, by images seen.
///
/// # Errors
/// What the file system says, unless there are none.
pub fn grids(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&grids_folder(run), "png")
}

/// The teacher's grid of a run; it may not be there.
pub fn teacher_grid(run: &Path) -> PathBuf {
    grids_folder(run).join("teacher.png")
}

/// The files in a folder whose names are numbers.
fn numbered(folder: &Path, extension: &str) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let io = |cause| RunError::File { path: folder.into(), cause };
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
