//! StyleGAN2's networks on burn: sizes, layers, and the names of their tensors.

pub mod arch;
pub mod cost;
pub mod discriminator;
pub mod dual;
pub mod generator;
pub mod initial;
pub mod kernel;
pub mod likeness;
pub mod names;
pub mod ops;
pub mod resize;
pub mod tap;
