//! The kernels that this processor runs, chosen when the crate is compiled: its own, or the portable ones.

#[cfg(dsp_kernels)]
pub use super::dsp::*;
#[cfg(m0_kernels)]
pub use super::m0::*;
#[cfg(mve_kernels)]
pub use super::mve::*;
#[cfg(not(any(dsp_kernels, m0_kernels, mve_kernels, rv32_kernels, simd_kernels)))]
pub use super::portable::*;
#[cfg(rv32_kernels)]
pub use super::rv32::*;
#[cfg(simd_kernels)]
pub use super::simd::*;
