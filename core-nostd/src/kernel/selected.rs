//! The kernels that this processor runs, chosen when the crate is compiled: those for Arm's DSP extension, or the portable
//! ones.

#[cfg(dsp_kernels)]
pub use super::dsp::*;
#[cfg(not(dsp_kernels))]
pub use super::portable::*;
