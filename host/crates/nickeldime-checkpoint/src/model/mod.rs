//! StyleGAN2's networks as data: architectures, costs, weights by name, and initial weights.

pub mod arch;
pub mod cost;
pub mod initial;
pub mod resample;
pub mod weights;
