//! The emulated Cortex-M4 makes the host's bytes, within the RAM and the instructions that are written down.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/on_target.rs"]
mod on_target;
