//! A model that a user names: a checkpoint, a pack, or a run's folder, told apart by content.

use std::path::{Path, PathBuf};

use anyhow::Context;
use nickeldime_checkpoint::{self as checkpoint, Checkpoint, CheckpointError};
use nickeldime_core::pack::{Pack, layout::MAGIC};

use super::progress::say;
use crate::run::student_of;

/// The content of a model file.
pub enum ModelFile {
    /// Float networks.
    Checkpoint(Box<Checkpoint>),
    /// The bytes of a verified pack.
    Pack(Vec<u8>),
}

impl ModelFile {
    /// Reads and verifies a model.
    ///
    /// # Errors
    /// The file is not a valid model; the text names the place and the problem.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let path = &model_file(path)?;
        let bytes = checkpoint::read_file(path)?;
        if bytes.starts_with(&MAGIC) {
            return verified(path, bytes).map(Self::Pack);
        }
        Ok(Self::Checkpoint(Box::new(checkpoint_from(path, &bytes)?)))
    }
}

/// The file of a model that a user named: the newest student of a run's folder, and any other path itself.
///
/// # Errors
/// A folder without a student.
pub fn model_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    let student = student_of(path);
    let shown = path.display();
    anyhow::ensure!(student.exists(), "{shown}: a folder without a run's student ({})", student.display());
    Ok(student)
}

/// Reads a checkpoint, or the newest student of a run, and says on standard error what was not taken from the file as it
/// is.
///
/// # Errors
/// As [`model_file`] and [`checkpoint::open`].
pub fn read_checkpoint(path: &Path) -> anyhow::Result<Checkpoint> {
    let path = &model_file(path)?;
    Ok(checkpoint_from(path, &checkpoint::read_file(path)?)?)
}

/// Like [`read_checkpoint`], for a file that was read already.
///
/// # Errors
/// As [`checkpoint::from_bytes`].
pub fn checkpoint_from(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = checkpoint::from_bytes(path, bytes)?;
    for remark in &checkpoint.remarks {
        say(format_args!("{}: {remark}", path.display()));
    }
    Ok(checkpoint)
}

/// Reads a pack's bytes and verifies them.
///
/// # Errors
/// The file is not a valid pack.
pub fn read_pack(path: &Path) -> anyhow::Result<Vec<u8>> {
    verified(path, checkpoint::read_file(path)?)
}

fn verified(path: &Path, bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    Pack::open(&bytes).with_context(|| format!("{}: not a usable model pack", path.display()))?;
    Ok(bytes)
}
