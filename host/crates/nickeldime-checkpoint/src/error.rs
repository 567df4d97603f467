//! Why a checkpoint was not read or written.

use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint or a tensor file was not read or written. The text is one line that names the file, the place in it,
/// and, where possible, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system reported an error.
    #[error("{}: {}", .file.display(), self.detail())]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// The file as a whole has a format that is not supported.
    #[error("{}: {}", .file.display(), self.detail())]
    Format {
        /// The file.
        file: PathBuf,
        /// What the file seems to be, and what is expected.
        problem: String,
    },
    /// The file is cut short or damaged, or its content at this byte is not understood.
    #[error("{}: {}", .file.display(), self.detail())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Number of bytes from the beginning of the file.
        offset: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A pickle names a function that exists only to run something.
    #[error("{}: {}", .file.display(), self.detail())]
    Forbidden {
        /// The file.
        file: PathBuf,
        /// Number of bytes from the beginning of the file.
        offset: usize,
        /// Module and name, as written in the file.
        name: String,
    },
    /// A tensor or setting is missing or damaged, or belongs to a network that is not supported.
    #[error("{}: {}", .file.display(), self.detail())]
    Network {
        /// The file.
        file: PathBuf,
        /// The tensor's or setting's name in the file, such as `G_ema.synthesis.b4.const`.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CheckpointError {
    /// The error without the file's name, for a sentence that has it already.
    pub fn detail(&self) -> String {
        match self {
            Self::Io { cause, .. } => cause.to_string(),
            Self::Format { problem, .. } => problem.clone(),
            Self::Damaged { offset, problem, .. } => format!("byte {offset}: {problem}"),
            Self::Forbidden { offset, name, .. } => {
                format!("byte {offset}: refused: the file asks for {name}, which no checkpoint needs; nothing was run")
            }
            Self::Network { place, problem, .. } => format!("{place}: {problem}"),
        }
    }

    pub(super) fn io(file: &Path, cause: io::Error) -> Self {
        Self::Io { file: file.into(), cause }
    }

    pub(super) fn format(file: &Path, problem: impl Into<String>) -> Self {
        Self::Format { file: file.into(), problem: problem.into() }
    }

    pub(super) fn damaged(file: &Path, offset: usize, problem: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), offset, problem: problem.into() }
    }

    pub(super) fn network(file: &Path, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Network { file: file.into(), place: place.into(), problem: problem.into() }
    }
}

/// A name from a file, made fit for one line of an error: without control characters, and shortened.
pub(super) fn printable(bytes: &[u8]) -> String {
    const SHOWN: usize = 80;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    format!("{}{more}", shown.escape_ascii())
}
