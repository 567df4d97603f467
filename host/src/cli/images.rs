//! Images that a user names: how they are taken, and what is said about them.

use std::path::Path;

use super::progress::say;
use crate::data::{DataError, Dataset, ImageSizes, Orientation};

/// Flags for the images of a folder or zip.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ImageFlags {
    /// Take photographs as they are stored. Without this flag, they are turned upright, as their EXIF orientation says.
    #[arg(long)]
    stored_orientation: bool,
}

impl ImageFlags {
    /// What is done about the orientation.
    pub fn orientation(self) -> Orientation {
        if self.stored_orientation { Orientation::Stored } else { Orientation::Upright }
    }
}

/// Opens a folder or zip of images, and says on standard error how many of its files were not read.
///
/// # Errors
/// As [`Dataset::open_with`].
pub fn opened(path: &Path, sizes: ImageSizes, orientation: Orientation) -> Result<Dataset, DataError> {
    let data = Dataset::open_with(path, sizes, orientation)?;
    if data.not_read().count() > 0 {
        say(format_args!("{}: {}", path.display(), data.not_read()));
    }
    Ok(data)
}
