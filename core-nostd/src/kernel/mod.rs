//! The inner loops: dot products, modulation, convolution rows, resampling, and the way from accumulators to activations.
//!
//! [`portable`] is plain Rust, runs everywhere and defines every kernel's result; a kernel for a particular processor takes
//! its place here at compile time and must give the same integers.
//!
//! Feature rows are channel-last, `[x][channel]`. *Modulated* rows, the convolutions' inputs, are
//! `[width + 2][padded(channels)]`: one pixel of zeros before the first and after the last, and an even number of channels,
//! so that two neighbours fill one word. Widths are multiples of 4 wherever a generator convolves.

pub mod finish;
pub mod layout;
pub mod portable;

pub use finish::{Activation, Middle};
pub use layout::{energy, padded};
pub use portable::{conv3x3_row, dot_i8_wide, dot_i16, fir_row, modulate, transposed3x3_row, upsample_rgb_row};
