//! The inner loops: dot products, modulation, convolution rows, resampling.
//!
//! [`portable`] is plain Rust, runs everywhere and defines every kernel's result; a kernel for a particular processor takes
//! its place here at compile time and must give the same integers.

pub mod portable;

pub use portable::*;
