//! The command against a board, through a real serial path.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/end_to_end.rs"]
mod end_to_end;
