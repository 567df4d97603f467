//! The methods that the paper compares with (`docs/baselines.md`): losses, scores and starts, one file for each method.
//!
//! Every loss has golden vectors in `fixtures/golden/baseline-*.safetensors`. [`super::method`] lists the parts of each
//! method,
//! consists of, and [`super::trainer`] runs them.

pub mod diversity;
pub mod energy;
pub mod perceptual;
pub mod relation;
pub mod slimming;
pub mod svs;
