//! The inner loops: dot products, modulation, convolution rows, resampling, and the way from accumulators to activations.
//!
//! [`portable`] is plain Rust, runs everywhere and defines every kernel's result; on an Arm core with the DSP extension
//! (Cortex-M4, M7, M33) `dsp` takes the place of its multiply-accumulate loops at compile time and gives the same integers.
//! The feature `portable-kernels` keeps the plain ones everywhere.
//!
//! Feature rows are channel-last, `[x][channel]`. *Modulated* rows, the convolutions' inputs, are
//! `[width + 2][padded(channels)]`: one pixel of zeros before the first and after the last, and an even number of channels,
//! so that two neighbours fill one word. Widths are multiples of 4 wherever a generator convolves.

#[cfg(dsp_kernels)]
pub mod dsp;
pub mod finish;
pub mod layout;
pub mod portable;

#[cfg(dsp_kernels)]
pub use dsp::{conv3x3_row, transposed3x3_row};
pub use finish::{Activation, Middle};
pub use layout::{energy, padded};
#[cfg(not(dsp_kernels))]
pub use portable::{conv3x3_row, transposed3x3_row};
pub use portable::{dot_i8_wide, dot_i16, fir_row, modulate, upsample_rgb_row};
