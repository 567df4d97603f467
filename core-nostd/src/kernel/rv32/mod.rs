//! The kernels of [`portable`](super::portable) for RV32IM. The loops are in assembly and keep a tile of accumulators of
//! two output channels in registers. Results are the same integers; the portable twin handles widths that no loop takes.
//!
//! The functions are naked, because a tile needs every register except the stack pointer and the two that belong to the
//! platform. Each takes a pointer to its arguments, and a safe function checks them.

/// The first line of every function. Without it the assembler assumes RV32I.
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

// Re-exports the portable kernels that this module does not replace.
pub use crate::kernel::portable::*;
pub use crate::kernel::scalar::{dot_i16, filter_along, filter_down};

/// Rows are made two output channels at a time.
pub const TWO_OUTPUTS: bool = true;
