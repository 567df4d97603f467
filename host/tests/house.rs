//! The house rules for imports: no circle between files, no arrow upward between rooms.
//!
//! The tests lie in the workspace's `tests` folder, which no package contains.

#[path = "../../tests/house.rs"]
mod house;
