//! The firmware of every board: it builds, is small enough, and gets onto its board.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/firmware.rs"]
mod firmware;
