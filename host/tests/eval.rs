//! Measuring and reporting, as users and scripts do it.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/eval.rs"]
mod eval;
