//! The command without a board: what scripts and users rely on.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/command.rs"]
mod command;
