//! Images that a user names: how they are taken, and what is said about them.

use std::path::Path;

use anyhow::ensure;

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

    /// Refuses the flag for a resumed run, which takes its images as it began.
    ///
    /// # Errors
    /// The flag was given.
    pub fn refuse_with_resume(self) -> anyhow::Result<()> {
        ensure!(!self.stored_orientation, "--stored-orientation: a resumed run takes its images as it began");
        Ok(())
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
