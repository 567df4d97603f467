//! The kernels that this processor runs, chosen when the crate is compiled: those for Arm's DSP extension, those for Helium, or
//! the portable ones.

#[cfg(dsp_kernels)]
pub use super::dsp::*;
#[cfg(mve_kernels)]
pub use super::mve::*;
#[cfg(not(any(dsp_kernels, mve_kernels)))]
pub use super::portable::*;
