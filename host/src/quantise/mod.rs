//! Turns float weights into a model pack: measures activations, quantises the weights, writes the pack, and measures its
//! fidelity.

pub mod budget;
pub mod calibrate;
mod dense;
pub mod fidelity;
pub mod integers;
pub mod moments;
pub mod outline;
pub mod pack;
pub mod rounding;
pub mod write;

pub use budget::choose_16_bit_layers;
pub use calibrate::{Calibration, Kind, LOOKS, Maps};
pub use fidelity::{Fidelity, psnr};
pub use moments::Gram;
pub use outline::Outline;
pub use pack::{Packed, PackingError, pack};
pub use write::{LayerReport, PackFile, PackOptions, PackParts, PackWriteError, write_pack};
