//! Recognises the formats of checkpoints and weights files by their content.

use std::path::Path;

use super::error::{CheckpointError, printable};
use super::model::arch::{ArchError, Shapes};
use super::model::weights::{Checkpoint, Tensors};
use super::networks::{self, TensorSelection};
use super::source::read_file;
use super::tensor_file::{self, TensorFile};
use super::{stylegan2, torch_file};

/// Reads a checkpoint and recognises its format by its content: a StyleGAN2-ADA `.pkl`; a state dict, or a training's
/// dict of state dicts, saved by `torch.save` under StyleGAN2-ADA's or rosinality's names; or a safetensors file.
///
/// It reads the generator and, if there is one that can be read, the discriminator. Other content is ignored.
/// [`Checkpoint::remarks`] lists what was not read as it is.
///
/// # Errors
/// A file that is missing, empty, cut short, damaged, of another format, or of a generator that is not supported
/// (conditional, neither RGB nor grey, another architecture than skip). Each error names the place and the problem.
pub fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    from_bytes(path, &read_file(path)?)
}

/// Like [`open`], for a file that was read already; `path` is its name in errors.
///
/// # Errors
/// The errors of [`open`].
pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    if let Some(other) = disguise(bytes) {
        return Err(CheckpointError::format(path, other));
    }
    match bytes[..] {
        [b'P', b'K', 3 | 5, ..] => {
            torch_file::with_zip(path, bytes, |file| networks::read(file, &networks::Hints::default()))
        }
        _ if tensor_file::looks_like(bytes) => tensor_file::read_checkpoint(path, bytes),
        // The first byte of a pickle: its protocol, or an opcode that older protocols begin with. These are read far
        // enough to say what is wrong.
        [0x80 | b'c' | b'(' | b'}', ..] => stylegan2::read_checkpoint(path, bytes),
        _ => {
            let begins = printable(&bytes[..bytes.len().min(8)]);
            let problem = format!("neither a .pkl, a .pt nor a safetensors checkpoint (it begins with {begins})");
            Err(CheckpointError::damaged(path, 0, problem))
        }
    }
}

/// What a file that is no tensor file really is, for some well-known accidents.
fn disguise(bytes: &[u8]) -> Option<&'static str> {
    /// Room for a byte-order mark, spaces and the first tag.
    const FRONT: usize = 256;
    let front = String::from_utf8_lossy(&bytes[..bytes.len().min(FRONT)]);
    let front = front.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let begins = |text: &str| front.starts_with(text);
    Some(match () {
        () if bytes.is_empty() => "empty",
        () if begins("<!doctype html") || begins("<html") || begins("<head") || begins("<?xml") => {
            "an HTML page, not a checkpoint: the download saved a web page (of a login, a quota or a confirmation) in place \
             of the file; download it again"
        }
        () if begins("version https://git-lfs.github.com/spec/") => {
            "a Git LFS pointer, not a checkpoint: the file itself is elsewhere; fetch it with `git lfs pull`"
        }
        () if bytes.starts_with(&[0x1f, 0x8b]) => "compressed with gzip: unpack it first",
        () => return None,
    })
}

/// Reads some tensors of a weights file: safetensors, or what PyTorch's `torch.save` (a state dict, or dicts of them)
/// and `torch.jit.save` write. `choose` gets the shapes of all tensors by their names in the file (dicts and modules
/// joined by dots) and selects those to read; the numbers of the others are never looked at. `path` is the file's name
/// in errors.
///
/// # Errors
/// A file that is damaged or of another format; an error of `choose`, with the file's name.
pub fn read_chosen(
    path: &Path,
    bytes: &[u8],
    choose: impl FnOnce(&Shapes) -> Result<TensorSelection, ArchError>,
) -> Result<Tensors, CheckpointError> {
    if let Some(other) = disguise(bytes) {
        return Err(CheckpointError::format(path, other));
    }
    match bytes[..] {
        [b'P', b'K', 3 | 5, ..] => torch_file::with_zip(path, bytes, |file| networks::chosen(file, choose)),
        _ if tensor_file::looks_like(bytes) => networks::chosen(&mut TensorFile::parse(path, bytes)?, choose),
        [0x80, ..] => torch_file::with_legacy(path, bytes, |file| networks::chosen(file, choose)),
        _ => {
            let begins = printable(&bytes[..bytes.len().min(8)]);
            let problem = format!(
                "not a weights file (it begins with {begins}): expected what torch.save or torch.jit.save writes, or safetensors"
            );
            Err(CheckpointError::damaged(path, 0, problem))
        }
    }
}
