//! The kernels of [`portable`](super::portable) for RV32IM: loops in assembly that keep a tile of accumulators of two output
//! channels in registers. The same integers; a width that no loop takes is left to the portable twin.
//!
//! The functions are naked, because a tile wants every register but the stack's and the two that belong to the platform. Each
//! takes a pointer to its arguments, and a safe function checks them.

/// What every function begins with: the assembler takes RV32I otherwise.
#[cfg(target_feature = "c")]
macro_rules! arch {
    () => {
        ".option push\n.option arch, +m, +c\n"
    };
}
#[cfg(not(target_feature = "c"))]
macro_rules! arch {
    () => {
        ".option push\n.option arch, +m\n"
    };
}

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
