//! The firmware for one's own board, outside the workspace.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/template.rs"]
mod template;
