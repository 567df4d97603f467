//! Checks a backend: are its results right, and how fast is it on this machine?

pub mod golden;
pub mod speed;
mod vectors;
