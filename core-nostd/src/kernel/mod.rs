//! The inner loops: dot products, modulation, convolution rows, resampling, requantisation and activation.
//!
//! [`portable`] is plain Rust, runs everywhere and defines every kernel's result. Faster kernels with the same results
//! are chosen at compile time: `dsp` for Arm cores with the DSP extension (Cortex-M4, M7, M33), `mve` for Helium, `m0`
//! for Armv6-M (Cortex-M0, M0+), `rv32` for RV32IM, and `simd` for computers. The feature `portable-kernels` selects the
//! portable ones everywhere. [`rows`] makes whole rows with the selected kernels.
//!
//! Feature rows are `[channel][x]`. *Modulated* rows, the convolutions' inputs, are `[pair of channels][width + 2][2]`: two
//! channels fill one word, so neighbouring pixels are neighbouring words, with a pixel of zeros before the first and after
//! the last; an odd channel is paired with zeros. *Intermediate* rows, between a transposed convolution and its filter, are
//! `[channel][2 * width + 4]`: column -1, which is 0, the `2 * width + 1` columns, and zeros. Widths are multiples of 4.

#[cfg(dsp_kernels)]
pub mod dsp;
pub mod finish;
pub mod layout;
#[cfg(m0_kernels)]
pub mod m0;
#[cfg(mve_kernels)]
pub mod mve;
pub mod portable;
mod quantile;
pub mod rows;
#[cfg(rv32_kernels)]
pub mod rv32;
#[cfg(any(m0_kernels, rv32_kernels))]
mod scalar;
pub mod selected;
#[cfg(simd_kernels)]
pub mod simd;
mod threefry;
#[cfg(any(m0_kernels, rv32_kernels))]
mod tiles;

pub use finish::{Activation, RequantPlan};
pub use layout::{energy, middle_len, padded, plane_len};
pub use portable::grey_to_bytes;
pub use quantile::{quantile, table as quantile_table};
pub use rows::{Work, conv3x3_row, fir_row, modulate_row, modulated_index, modulated_len, transposed3x3_row};
pub use selected::{
    blend_row, copy_row, dot_i8_wide, dot_i16, mix, normal_row, random_row, to_bytes, upsample_rgb_row,
};
pub use threefry::threefry;
