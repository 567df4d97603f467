//! What all boards share, and the boards.
//!
//! ```text
//!   board/*.rs  serial, flash, clock, buffers  -->  nickeldime_core::device::Device  -->  poll for ever
//! ```
//!
//! A board is one file that implements [`Board`], its memory map, and its [`sizes::Sizes`]; `docs/boards.md` shows how to
//! write one.

#![cfg_attr(not(test), no_std)]

pub mod board;
pub mod lamp;
pub mod memory;
pub mod note;
pub mod register;
pub mod ring;
pub mod screen;
pub mod standalone;
#[cfg(all(target_arch = "arm", any(feature = "stm32f405", feature = "nucleo-h743")))]
mod systick;

pub use board::{Board, Parts};
pub use nickeldime_boards::sizes;
