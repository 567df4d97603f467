//! The kernels of [`portable`](super::portable) for Arm cores with Helium, the vector extension (MVE) of a Cortex-M55 or
//! M85, which does eight multiply-accumulates an instruction. Results are the same integers.
//!
//! A modulated row keeps [`LANES`] channels of a pixel together ([`modulated_index`]), which is one vector. The weights
//! are gathered from where they lie in a pack: four words of a column are 8 channels of two outputs, which two
//! instructions widen to 16 bits.
//!
//! The functions are naked, because a compiler's register allocation around single instructions spills and these loops
//! have no register to spare. Each takes a pointer to its arguments, and a safe function checks them.
//!
//! [`modulated_index`]: super::layout::modulated_index

/// The first line of every function. Without it the assembler assumes the smallest core of thumbv8m.main.
macro_rules! cpu {
    () => {
        ".cpu cortex-m55"
    };
}

mod blend;
mod convolve;
mod dot;
mod filter;
mod finish;
mod image;
mod memory;
mod mix;
mod modulate;
mod normal;
mod plain;
mod random;
mod transpose;

pub use blend::blend_row;
pub use convolve::{conv3x3_row, correlate_pair};
pub use dot::{dot_i8_wide, dot_i16};
pub use filter::{filter_along, filter_down};
pub use finish::{activate_row, requantise_row};
pub use image::{to_bytes, upsample_rgb_row};
pub use memory::copy_row;
pub use mix::mix;
pub use modulate::modulate_row;
pub use normal::normal_row;
pub use plain::spread_pair;
pub use random::random_row;
pub use transpose::transposed3x3_row;

// Re-exports kernels for rows made one output channel at a time, which this processor does not use.
pub use super::portable::{correlate, expand, spread};

/// Rows are made two output channels at a time, by [`correlate_pair`] and [`spread_pair`].
pub const TWO_OUTPUTS: bool = true;

/// Channels of a pixel that a modulated row keeps together.
pub const LANES: usize = 8;

/// Rows of accumulators in the workspace: one for each of two output channels.
pub const ACCUMULATORS: usize = 2;

/// How the channels of a convolution are divided.
#[derive(Debug, Clone, Copy)]
struct Groups {
    pairs: usize,
    /// Number of groups of [`LANES`] channels.
    count: usize,
    /// Bytes from where the last group's weights would begin if it were full to where they do begin.
    step: isize,
}

impl Groups {
    /// Groups for this many pairs of channels.
    fn new(pairs: usize) -> Self {
        let count = pairs.div_ceil(LANES / 2);
        Self { pairs, count, step: 12 * (pairs as isize - (LANES / 2 * count) as isize) }
    }

    /// Rounds of a loop over all groups except the last, and the bytes of code that its first round skips; a group is
    /// `size` bytes of code.
    fn rounds(&self, unrolled: usize, size: usize) -> (usize, usize) {
        let looped = self.count.saturating_sub(1);
        let rounds = looped.div_ceil(unrolled);
        (rounds, (rounds * unrolled - looped) * size)
    }

    /// Addresses of the four words of the first group's first column, minus the step from one group to the next. With
    /// fewer than four pairs some addresses coincide; their activations are zeros.
    fn addresses(&self, weights: *const i8) -> [*const i8; 4] {
        core::array::from_fn(|lane| {
            let pair = lane.min(self.pairs.saturating_sub(1));
            weights.wrapping_add(12 * pair).wrapping_sub(12 * self.pairs.min(LANES / 2))
        })
    }
}

/// True for a requantisation that the product's upper word and up to five doublings of the accumulator can do.
/// Multipliers below 2^30 with shifts below 33, and all shifts below 28, need the exact one.
fn usual(&[multiplier, shift]: &[i32; 2]) -> bool {
    shift >= 33 || shift >= 28 && multiplier.unsigned_abs() >= 1 << 30
}
