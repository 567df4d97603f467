//! The kernels of [`portable`](super::portable) for Arm cores with the DSP extension, which does two
//! multiply-accumulates an instruction. The loops are in assembly and keep every register in use. Results are the same
//! integers. The portable twin handles the rest: a width that is not a multiple of 4, and a misaligned address.
//!
//! The functions are naked, because a compiler's register allocation around single instructions spills and these loops
//! have no register to spare. Each takes a pointer to its arguments, and a safe function checks them.

/// The first line of every function. Without it the assembler assumes the smallest core of thumbv8m.main.
#[cfg(feature = "dsp")]
macro_rules! cpu {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(feature = "dsp"))]
macro_rules! cpu {
    () => {
        ""
    };
}

mod arguments;
mod blend;
mod correlate;
mod dot;
mod expand;
mod filter;
mod finish;
mod mix;
mod modulate;
mod random;
mod spread;

pub use blend::blend_row;
pub use correlate::correlate;
pub use dot::{dot_i8_wide, dot_i16};
pub use expand::expand;
pub use filter::{filter_along, filter_down};
pub use finish::{activate_row, requantise_row};
pub use mix::mix;
pub use modulate::modulate;
pub use random::random_row;
pub use spread::spread;

pub use crate::kernel::portable::{
    ACCUMULATORS, LANES, TWO_OUTPUTS, copy_row, correlate_pair, normal_row, spread_pair, to_bytes, upsample_rgb_row,
};
