//! Why a compression cannot begin or go on.

use nickeldime_checkpoint::{CheckpointError, NoCritic, model::arch::ArchError};

use super::{moments::MomentsError, settings::SettingError, state::StateError};
use crate::{data::DataError, nets::names::LoadError};

/// Why a compression cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A setting that cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The networks would not fit any machine.
    #[error("{0} parameters: more than any network of this kind has; make it narrower")]
    Huge(u64),
    /// A saved state that cannot be gone on from.
    #[error(transparent)]
    State(#[from] StateError),
    /// The teacher's checkpoint gives a generator alone.
    #[error("the teacher cannot be compressed with critics: {0}")]
    NoDiscriminator(#[from] NoCritic),
    /// Images of another size than the teacher's.
    #[error("the images are {data}x{data}, the teacher draws {teacher}x{teacher}")]
    Resolution {
        /// Of the dataset.
        data: usize,
        /// Of the teacher.
        teacher: usize,
    },
    /// Feature matching needs equal channels on both sides.
    #[error(
        "at {resolution}x{resolution} the teacher's generator has {generator} channels and its discriminator \
         {discriminator}: feature matching needs equal numbers"
    )]
    Channels {
        /// Where the features meet.
        resolution: usize,
        /// Channels of G_T there.
        generator: usize,
        /// Channels of D there.
        discriminator: usize,
    },
    /// Content masks are too few or of another size.
    #[error("content masks: {0}")]
    Masks(String),
    /// Embeddings do not go with the method.
    #[error("{0}")]
    Embeddings(&'static str),
    /// The training has broken down.
    #[error("no finite gradient for {0} iterations: begin a new run with a smaller --lr, or a larger --gamma")]
    NotFinite(u32),
    /// The user asked to stop before training began.
    #[error("stopped before training began")]
    Stopped,
    /// A file with weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Global moments of something else.
    #[error(transparent)]
    Moments(#[from] MomentsError),
    /// A tensor that does not fit.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// An architecture that cannot be.
    #[error("{0}")]
    Arch(#[from] ArchError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
}
