//! Is a backend right, and how fast is it here?

pub mod golden;
pub mod speed;
mod vectors;
