//! A model that a user names: a checkpoint, a pack, or a run's folder, told apart by content.

use std::path::Path;

use anyhow::Context;
use nickeldime_checkpoint::{self as checkpoint, Checkpoint, CheckpointError};
use nickeldime_core::pack::{Pack, layout::MAGIC};

use super::progress::say;
use crate::run::student_of;

/// What a file turned out to be.
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
    /// What is wrong with the file, and where.
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

/// Reads a checkpoint, and says on standard error what was not taken from the file as it is.
///
/// # Errors
/// As [`checkpoint::open`].
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint, CheckpointError> {
    checkpoint_from(path, &checkpoint::read_file(path)?)
}

/// As [`read_checkpoint`], for a file that was read already.
///
/// # Errors
/// As there.
pub fn checkpoint_from(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = checkpoint::from_bytes(path, bytes)?;
    for remark in &checkpoint.remarks {
        say(format_args!("{}: {remark}", path.display()));
    }
    Ok(checkpoint)
}

/// The bytes of a pack, verified.
///
/// # Errors
/// Why it is not a whole pack.
pub fn read_pack(path: &Path) -> anyhow::Result<Vec<u8>> {
    verified(path, checkpoint::read_file(path)?)
}

fn verified(path: &Path, bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    Pack::open(&bytes).with_context(|| format!("{}: not a usable model pack", path.display()))?;
    Ok(bytes)
}
