//! StyleGAN2's networks as data: their sizes, what they cost, their weights by name, and weights before any training.

pub mod arch;
pub mod cost;
pub mod initial;
pub mod resample;
pub mod weights;
