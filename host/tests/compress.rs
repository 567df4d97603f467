//! Runs: what `compress` and `train` leave behind, that they survive being stopped anywhere, and what they refuse.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/compress.rs"]
mod compress;
