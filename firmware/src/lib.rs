//! The firmware as a library: the code that boards share, the boards that nickeldime knows, and [`run`], which is the
//! whole program.
//!
//! ```text
//!   Board::take  serial, flash, clock, buffers  -->  nickeldime_core::device::Device  -->  poll for ever
//! ```
//!
//! A board is one file that implements [`Board`], its memory map, and its [`sizes::Sizes`]. It lives in this package, behind
//! a feature, or in a package of its own: `firmware/template` is one, and `docs/boards.md` shows how to write it.

#![cfg_attr(not(test), no_std)]

pub mod board;
pub mod crash_note;
pub mod engine;
pub mod flash;
pub mod memory;
pub mod register;
pub mod ring;
mod run;
pub mod screen;
pub mod slideshow;
#[cfg(all(target_arch = "arm", feature = "systick"))]
pub mod systick;
pub mod trust;

pub use board::{Board, Parts};
pub use nickeldime_boards::sizes;
pub use run::{restart_after_panic, run};
