//! Errors that keep a compression from beginning or end it.

use std::path::PathBuf;

use nickeldime_checkpoint::{CheckpointError, NoCritic, model::arch::ArchError};

use super::{settings::SettingError, state::StateError};
use crate::{data::DataError, metrics::MetricError, nets::names::LoadError};

/// Errors that keep a compression from beginning or end it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The networks have more parameters than any machine could hold.
    #[error("{0} parameters: more than any network of this kind has; make it narrower")]
    Huge(u64),
    /// The saved state of a run is damaged or belongs to other settings, so the run cannot be resumed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The teacher's checkpoint gives a generator alone.
    #[error("the teacher cannot be compressed with critics: {0}")]
    NoDiscriminator(#[from] NoCritic),
    /// The images have another size than the teacher's.
    #[error("the images are {data}x{data}, the teacher draws {teacher}x{teacher}")]
    Resolution {
        /// The size of the dataset's images.
        data: usize,
        /// The size of the teacher's images.
        teacher: usize,
    },
    /// Feature matching (NICKEL) needs equal channel counts in the teacher generator and the student critic.
    #[error(
        "at {resolution}x{resolution} the teacher's generator has {generator} channels and its discriminator \
         {discriminator}: feature matching needs equal numbers"
    )]
    Channels {
        /// The resolution at which the features are compared.
        resolution: usize,
        /// The teacher generator's channels at that resolution.
        generator: usize,
        /// The critic's channels at that resolution.
        discriminator: usize,
    },
    /// There are too few content masks, or they have another size than the images.
    #[error("content masks: {0}")]
    Masks(String),
    /// The method needs embeddings and has none, or has embeddings that it does not use.
    #[error("{0}")]
    Embeddings(&'static str),
    /// The pruned starts cannot be compared.
    #[error("the pruned starts cannot be compared: {0}")]
    Starts(MetricError),
    /// The training produced no finite gradient for many iterations in a row.
    #[error("no finite gradient for {0} iterations: begin a new run with a smaller --lr, or a larger --gamma")]
    NotFinite(u32),
    /// The user stopped the command before training began.
    #[error("stopped before training began")]
    Stopped,
    /// A file with weights could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The global moments belong to another teacher or to another embedder.
    #[error(transparent)]
    Moments(#[from] MomentsError),
    /// A tensor has the wrong shape.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The architecture is not a possible one.
    #[error("{0}")]
    Arch(#[from] ArchError),
    /// The images could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Errors of reading and using a file of moments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MomentsError {
    /// The file of moments.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The file was measured with another teacher.
    #[error(
        "{}: moments of another teacher (its generator has SHA-256 {}..., this one {}...); measure this one's with \
         `nickeldime moments`", .file.display(), start(.found), start(.expected)
    )]
    Teacher {
        /// The file of moments.
        file: PathBuf,
        /// The fingerprint of the teacher that the file was measured with.
        found: String,
        /// The fingerprint of the teacher at hand.
        expected: String,
    },
    /// The file lacks an embedding that is needed.
    #[error(
        "{}: no moments in {wanted}, only in {has}; measure them with `nickeldime moments` and the same --embed",
        .file.display()
    )]
    Embedder {
        /// The file of moments.
        file: PathBuf,
        /// The name of the missing embedding: its kind and the beginning of its hash.
        wanted: String,
        /// The names of the embeddings in the file.
        has: String,
    },
}

fn start(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
