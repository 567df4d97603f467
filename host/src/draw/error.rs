//! Errors of drawing.

use nickeldime_core::generator::GenerateError;
use nickeldime_link::PortError;

use crate::{backend::Unavailable, nets::names::LoadError};

/// Errors of drawing images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// Latents of another width than the generator's.
    #[error("the latents are {given} wide, the model's are {expected}")]
    Width {
        /// Of the latents.
        given: usize,
        /// Of the generator.
        expected: usize,
    },
    /// w for another number of layers than the generator's.
    #[error("the latents have w for {given} layers, the model has {expected}")]
    Layers {
        /// Of the latents.
        given: usize,
        /// Of the generator.
        expected: usize,
    },
    /// Weights that do not fit their architecture.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Where to compute.
    #[error(transparent)]
    Backend(#[from] Unavailable),
    /// The integer engine refused a sample.
    #[error("{0}")]
    Integers(GenerateError),
    /// The board failed, or the line to it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The board has no model.
    #[error("the device has no model yet: `nickeldime send PACK --port ...` gives it one")]
    NoModel,
    /// The caller asked to stop.
    #[error("stopped: nothing was written")]
    Stopped,
}
