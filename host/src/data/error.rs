//! Why images could not be had.

use std::io;
use std::path::{Path, PathBuf};

/// Why a dataset could not be opened or an image of it not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system said no.
    #[error("{}: {cause}", .file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is not a zip, or a damaged one.
    #[error("{}: not a folder, and not a zip of images: {problem}", .file.display())]
    Zip {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There are no images in it.
    #[error("{}: no PNG or JPEG image in it", .file.display())]
    Empty {
        /// The folder or zip.
        file: PathBuf,
    },
    /// An image is damaged or of the wrong size.
    #[error("{}: {problem}", .file.display())]
    Image {
        /// The image: its name behind the folder's or zip's.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The labels are damaged.
    #[error("{}: {problem}", .file.display())]
    Labels {
        /// The `dataset.json`.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The dataset has fewer images.
    #[error("{}: image {index} of {len}: there is none", .file.display())]
    Beyond {
        /// The folder or zip.
        file: PathBuf,
        /// The image asked for, from 0.
        index: usize,
        /// Images in the dataset.
        len: usize,
    },
}

impl DataError {
    pub(super) fn io(file: &Path, cause: io::Error) -> Self {
        Self::Io { file: file.into(), cause }
    }
}
