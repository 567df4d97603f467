//! Names of places in a file, for errors.

use std::path::Path;

use super::error::{CheckpointError, printable};
use super::model::arch::ArchError;
use super::pickle::{PickleError, Problem};

/// The problem text for a StyleGAN3 checkpoint.
pub(super) const STYLEGAN3: &str = "a StyleGAN3 network: only StyleGAN2's networks are supported";

/// A network's tensor in a file: its name there and its shape.
pub(super) struct Part {
    /// The name in the file.
    pub name: String,
    /// The shape that the tensor has in the network.
    pub shape: Vec<usize>,
}

/// Turns an architecture error into one with the file and the tensor's full name.
pub(super) fn placed(path: &Path, prefix: &str, error: ArchError) -> CheckpointError {
    let place = printable(format!("{prefix}{}", error.place).as_bytes());
    CheckpointError::network(path, place, error.problem)
}

/// Turns a pickle error into one with the file and the place.
pub(super) fn refused(path: &Path, error: PickleError, place: &str) -> CheckpointError {
    let colon = if place.is_empty() { "" } else { ": " };
    match error.problem {
        Problem::Forbidden(name) if name.starts_with("dnnlib.tflib.") => {
            let problem = format!("{name}: a TensorFlow checkpoint: convert it with StyleGAN2-ADA's legacy.py first");
            CheckpointError::damaged(path, error.offset, problem)
        }
        Problem::Forbidden(name) => CheckpointError::Forbidden { file: path.into(), offset: error.offset, name },
        Problem::Damaged(problem) => CheckpointError::damaged(path, error.offset, format!("{place}{colon}{problem}")),
    }
}

/// Joins two parts of a name to `path.name`, made fit for an error.
pub(super) fn join(path: &str, name: &str) -> String {
    let name = printable(name.as_bytes());
    match (path, &name[..]) {
        ("", _) => name,
        (_, "") => path.into(),
        _ => format!("{path}.{name}"),
    }
}
