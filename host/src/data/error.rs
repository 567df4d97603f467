//! Errors of reading images.

use std::io;
use std::path::{Path, PathBuf};

use super::NotRead;

/// The reason why a dataset could not be opened or one of its images could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system returned an error.
    #[error("{}: {cause}", .file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// The file is not a zip archive, or is damaged.
    #[error("{}: not a folder, and not a zip of images: {problem}", .file.display())]
    Zip {
        /// The file.
        file: PathBuf,
        /// A description of the problem.
        problem: String,
    },
    /// The folder or zip has no images.
    #[error("{}: no image in it (PNG, JPEG, WebP, BMP, TIFF or GIF){}", .file.display(), .not_read.after(": "))]
    Empty {
        /// The folder or zip.
        file: PathBuf,
        /// The files that it has.
        not_read: NotRead,
    },
    /// An image is damaged or of the wrong size.
    #[error("{}: {problem}", .file.display())]
    Image {
        /// The image: the path of the folder or zip, followed by the image's name.
        file: PathBuf,
        /// A description of the problem.
        problem: String,
    },
    /// The labels are damaged.
    #[error("{}: {problem}", .file.display())]
    Labels {
        /// The `dataset.json`.
        file: PathBuf,
        /// A description of the problem.
        problem: String,
    },
    /// An image beyond the last one was asked for.
    #[error("{}: image {index} of {len}: there is none", .file.display())]
    Beyond {
        /// The folder or zip.
        file: PathBuf,
        /// The index that was asked for, from 0.
        index: usize,
        /// The number of images in the dataset.
        len: usize,
    },
}

impl DataError {
    pub(super) fn io(file: &Path, cause: io::Error) -> Self {
        Self::Io { file: file.into(), cause }
    }
}
