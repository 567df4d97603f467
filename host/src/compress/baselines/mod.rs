//! The methods that the paper compares with (`baselines.md`): their losses, scores and starts, one file each.
//!
//! Every loss has golden vectors in `fixtures/golden/baseline-*.safetensors`. [`super::method`] says which parts a method
//! consists of, and [`super::trainer`] runs them.

pub mod diversity;
pub mod energy;
pub mod perceptual;
pub mod relation;
pub mod slimming;
pub mod svs;
