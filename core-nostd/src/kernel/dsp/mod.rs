//! The kernels of [`portable`](super::portable) for Arm cores with the DSP extension: two multiply-accumulates an
//! instruction, loops in assembly with every register at work. The same integers; what a loop cannot take (a width that is
//! no multiple of 4, an address that is none) the portable twin does.
//!
//! Naked functions, because a compiler's register allocation around single instructions spills where these loops have none
//! to spare. Each takes a pointer to its arguments, and a safe function checks them.

/// What every function begins with: the assembler takes the least core of thumbv8m.main otherwise.
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
