//! Errors of a run's folder.

use std::path::PathBuf;

/// Errors of reading and writing a run's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The file system failed.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The folder holds a run already.
    #[error("{}: already holds a run; name a new folder, or go on with --resume", .0.display())]
    Exists(PathBuf),
    /// The folder holds no run.
    #[error("{}: not a run: it has no run.json", .0.display())]
    NotARun(PathBuf),
    /// A file of the run is damaged.
    #[error("{}: damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// A description of the damage.
        problem: String,
    },
    /// A line of a file of the run is damaged.
    #[error("{}: line {line}: {problem}", .path.display())]
    DamagedLine {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// A description of the damage.
        problem: String,
    },
    /// An input file has changed since the run began.
    #[error("{}: is not the file that the run began with", .0.display())]
    Changed(PathBuf),
}
