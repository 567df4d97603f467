//! Reads the bytes of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::CheckpointError;

/// Reads the whole file, which must not be empty.
pub fn read_file(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    /// The largest file that is read, so that offsets fit in 32 bits. The largest official checkpoint has 0.4 GB.
    const LARGEST: u64 = 4 << 30;
    let io = |cause| CheckpointError::io(path, cause);
    // This is asked before the file is opened, because opening a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(io)?;
    if about.is_dir() {
        let problem = "a folder: expected a .pkl, .pt or .safetensors file";
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
