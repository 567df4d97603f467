//! Errors of drawing.

use nickeldime_core::generator::GenerateError;
use nickeldime_link::PortError;

use crate::{backend::Unavailable, nets::names::LoadError};

/// Errors of drawing images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The latents have another width than the generator's.
    #[error("the latents are {given} wide, the model's are {expected}")]
    Width {
        /// The width of the latents.
        given: usize,
        /// The width that the generator takes.
        expected: usize,
    },
    /// The ws are for another number of layers than the generator's.
    #[error("the latents have w for {given} layers, the model has {expected}")]
    Layers {
        /// The number of layers of the latents.
        given: usize,
        /// The number of layers of the generator.
        expected: usize,
    },
    /// The weights do not fit their architecture.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The backend is not available.
    #[error(transparent)]
    Backend(#[from] Unavailable),
    /// The integer engine refused a sample.
    #[error("{0}")]
    Integers(GenerateError),
    /// The board or the connection to it failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The board has no model.
    #[error("the device has no model yet: `nickeldime send PACK --port ...` gives it one")]
    NoModel,
    /// The caller asked to stop.
    #[error("stopped: nothing was written")]
    Stopped,
}
