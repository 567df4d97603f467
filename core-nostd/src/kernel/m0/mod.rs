//! The kernels of [`portable`](super::portable) for Armv6-M (Cortex-M0, M0+), which multiplies 32 bits by 32 and has neither
//! multiply-accumulates nor many registers: loops in assembly that keep the accumulators of 8 pixels, or of 8 columns, and
//! three weights in its 14 registers. The same integers; a width that no loop takes is left to the portable twin.
//!
//! `MULS` overwrites a factor. The loops take the weight as the one that is lost, copied from a high register, and for the
//! middle tap, a pixel's last, the pixel.

mod correlate;
mod spread;
mod tile;

pub use correlate::correlate_pair;
pub use spread::spread_pair;

// What this module has no kernel of its own for.
pub use crate::kernel::portable::*;
pub use crate::kernel::scalar::{dot_i16, filter_along, filter_down};

/// Rows are made two output channels at a time.
pub const TWO_OUTPUTS: bool = true;
