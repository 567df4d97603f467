//! The names of the files in a run's folder.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::error::RunError;

/// File name of a run's own embedder.
pub const EMBEDDER: &str = "embedder.safetensors";

/// Path of the configuration.
pub fn record(run: &Path) -> PathBuf {
    run.join("run.json")
}

/// Path of the training's log.
pub fn log(run: &Path) -> PathBuf {
    run.join("log.jsonl")
}

/// Path of the evaluations' log.
pub fn evals(run: &Path) -> PathBuf {
    run.join("eval.jsonl")
}

/// Path of the state that a resumed run continues from.
pub fn state(run: &Path) -> PathBuf {
    run.join("state")
}

/// Path of the teacher's global moments.
pub fn moments(run: &Path) -> PathBuf {
    run.join("moments.safetensors")
}

/// Path of the folder with the teacher's features.
pub fn bank(run: &Path) -> PathBuf {
    run.join("bank")
}

/// Path of the folder with the students.
pub fn students(run: &Path) -> PathBuf {
    run.join("students")
}

/// Path of the folder with the grids.
pub fn grids_folder(run: &Path) -> PathBuf {
    run.join("grids")
}

/// Path of the newest student.
pub fn student_of(run: &Path) -> PathBuf {
    run.join("student.safetensors")
}

/// True if a path is a run's folder.
pub fn is_run(path: &Path) -> bool {
    record(path).is_file() || student_of(path).is_file()
}

/// The students that a run has kept, each with the number of images seen, in that order.
///
/// # Errors
/// Errors of the file system. A folder that does not exist gives an empty list.
pub fn snapshots(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&students(run), "safetensors")
}

/// The grids of a run, each with the number of images seen, in that order.
///
/// # Errors
/// Errors of the file system. A folder that does not exist gives an empty list.
pub fn grids(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    numbered(&grids_folder(run), "png")
}

/// Path of the teacher's grid; the file may not exist.
pub fn teacher_grid(run: &Path) -> PathBuf {
    grids_folder(run).join("teacher.png")
}

/// The files in a folder whose names are numbers, with these numbers.
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
