//! StyleGAN2's networks on burn: layers, and the names of their tensors.

pub mod discriminator;
pub mod draws;
pub mod dual;
pub mod generator;
pub mod names;
pub mod ops;
pub mod ops_cpu;
pub mod resize;
pub mod tap;
