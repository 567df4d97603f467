//! Is a backend right, and how fast is it here?

pub mod speed;
