//! Checkpoints on the disk: StyleGAN2-ADA's `.pkl` in, safetensors in and out; PyTorch's weights files (`.pth`, `.pt`) of
//! embedding networks in.
//!
//! Files are data from strangers. Reading one never runs anything in it and never panics; whatever bytes it has, the
//! outcome is a network or a [`CheckpointError`] that names the file and the place, in memory of a few times the
//! file's size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

mod error;
pub mod files;
pub mod model;
mod number;
mod pickle;
pub mod random;
mod stylegan2;
mod tensor_file;
mod torch_file;
mod torch_legacy;

use crate::model::arch::{ArchError, Shapes};
pub use error::CheckpointError;
pub use model::weights::{Checkpoint, DiscriminatorWeights, GeneratorWeights, Tensors};
pub use tensor_file::{Metadata, read_tensors, write_checkpoint, write_tensors};

/// Reads a checkpoint: a StyleGAN2-ADA `.pkl` or a safetensors file, told apart by their content.
///
/// # Errors
/// A file that is not there, empty, cut short, damaged, of another format, or of a network that is not supported
/// (conditional, not RGB, other architectures than skip and resnet): each names the place and what is wrong.
pub fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    from_bytes(path, &read_file(path)?)
}

/// As [`open`], for a file that was read already; `path` is its name in errors.
///
/// # Errors
/// As there.
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    match bytes[..] {
        [] => Err(CheckpointError::format(path, "empty")),
        [b'P', b'K', 3 | 5, ..] => {
            let problem = format!("a zip, as PyTorch weights are: {}", stylegan2::STATE_DICT);
            Err(CheckpointError::format(path, problem))
        }
        _ if tensor_file::looks_like(bytes) => tensor_file::read_checkpoint(path, bytes),
        // A protocol, or what older protocols begin with (read far enough to say what is wrong).
        [0x80 | b'c' | b'(' | b'}', ..] => stylegan2::read_checkpoint(path, bytes),
        _ => {
            let begins = error::printable(&bytes[..bytes.len().min(8)]);
            let problem = format!("neither a .pkl nor a safetensors checkpoint (it begins with {begins})");
            Err(CheckpointError::damaged(path, 0, problem))
        }
    }
}

/// Tensors to read: the file's name for each of the reader's own.
pub type Choice = BTreeMap<String, String>;

/// Reads some tensors of a weights file: safetensors, or what PyTorch's `torch.save` (a state dict, or dicts of them) and
/// `torch.jit.save` write. `choose` sees the shapes of all tensors by their names in the file (dicts and modules joined by
/// dots) and names those that are read; the others' numbers are never looked at. `path` is the file's name in errors.
///
/// # Errors
/// A file that is damaged or of another format; what `choose` returns, with the file's name.
pub fn read_chosen(
    path: &Path,
    bytes: &[u8],
    choose: impl FnOnce(&Shapes) -> Result<Choice, ArchError>,
) -> Result<Tensors, CheckpointError> {
    match bytes[..] {
        [] => Err(CheckpointError::format(path, "empty")),
        [b'P', b'K', 3 | 5, ..] => torch_file::read_zip(path, bytes, choose),
        _ if tensor_file::looks_like(bytes) => tensor_file::read_chosen(path, bytes, choose),
        [0x80, ..] => torch_file::read_legacy(path, bytes, choose),
        _ => {
            let begins = error::printable(&bytes[..bytes.len().min(8)]);
            let problem = format!(
                "not a weights file (it begins with {begins}): expected what torch.save or torch.jit.save writes, or safetensors"
            );
            Err(CheckpointError::damaged(path, 0, problem))
        }
    }
}

/// The whole file, which must not be empty.
pub fn read_file(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    /// The largest official checkpoint has 0.4 GB; offsets into a file fit 32 bits.
    const LARGEST: u64 = 4 << 30;
    let io = |cause| CheckpointError::io(path, cause);
    // Before it is opened: opening a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(io)?;
    if about.is_dir() {
        let problem = "a folder: expected a .pkl or .safetensors file";
        return Err(CheckpointError::format(path, problem));
    }
    if !about.is_file() {
        return Err(CheckpointError::format(path, "not a regular file"));
    }
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    if about.len() < LARGEST {
        bytes.reserve_exact(about.len() as usize);
        file.take(LARGEST).read_to_end(&mut bytes).map_err(io)?;
    }
    if about.len() >= LARGEST || bytes.len() as u64 >= LARGEST {
        let problem = "larger than 4 GiB: no StyleGAN2 checkpoint is";
        return Err(CheckpointError::format(path, problem));
    }
    if bytes.is_empty() {
        return Err(CheckpointError::format(path, "empty"));
    }
    Ok(bytes)
}
