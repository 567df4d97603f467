//! From float weights to a model pack: ranges of the activations, integers, the pack file, and how faithful it is.

pub mod calibrate;
pub mod fidelity;
mod float_mapping;
pub mod integers;
pub mod outline;
pub mod render;
pub mod write;

pub use calibrate::Ranges;
pub use fidelity::{Fidelity, psnr};
pub use outline::Outline;
pub use render::{RenderError, render};
pub use write::{PackFile, PackOptions, PackWriteError, Parts, write_pack};
