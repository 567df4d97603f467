//! The kernels of [`portable`](super::portable) for Armv6-M (Cortex-M0, M0+), which multiplies 32 bits by 32 but has no
//! multiply-accumulate and few registers. The loops are in assembly and keep the accumulators of 8 pixels, or of 8
//! columns, and three weights in its 14 registers. Results are the same integers; the portable twin handles widths that
//! no loop takes.
//!
//! `MULS` overwrites one factor. The loops copy the weight from a high register and let `MULS` overwrite that; for the
//! middle tap, which is the last use of a pixel, it overwrites the pixel.

mod correlate;
mod spread;
mod tile;

pub use correlate::correlate_pair;
pub use spread::spread_pair;

// Re-exports the portable kernels that this module does not replace.
pub use crate::kernel::portable::*;
pub use crate::kernel::scalar::{dot_i16, filter_along, filter_down};

/// Rows are made two output channels at a time.
pub const TWO_OUTPUTS: bool = true;
