//! Checks the results of a backend against golden numbers, and measures its speed on this machine.

pub mod golden;
pub mod speed;
mod vectors;
