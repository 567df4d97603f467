//! A model that a user names: a checkpoint, a pack, or a run's folder, told apart by content.

use std::path::Path;

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
        if path.is_dir() {
            let student = student_of(path);
            anyhow::ensure!(student.exists(), "{}: a folder without a run's student", path.display());
            return Self::open(&student);
        }
        let bytes = checkpoint::read_file(path)?;
        if bytes.starts_with(&MAGIC) {
            return verified(path, bytes).map(Self::Pack);
        }
        Ok(Self::Checkpoint(Box::new(checkpoint_from(path, &bytes)?)))
    }
}

/// Reads a checkpoint. Remarks about content that was not read as it is go to standard error.
///
/// # Errors
/// The errors of [`checkpoint::open`].
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint, CheckpointError> {
    checkpoint_from(path, &checkpoint::read_file(path)?)
}

/// Like [`read_checkpoint`], for a file that was read already.
///
/// # Errors
/// The errors of [`checkpoint::open`].
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
