//! The documentation agrees with the code and with itself.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/docs.rs"]
mod docs;
