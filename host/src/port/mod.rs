//! The serial line from the host's side: the client that talks to a board, and boards that need no board.
//!
//! ```text
//!   client  --wire-->  serial port  -->  a board
//!                      pty  -->  emulator (QEMU runs the firmware)
//!                      pty  -->  in_process (a thread runs the device code of nickeldime-core)
//! ```
//!
//! `on_target` runs the engine alone on an emulated processor, to count and to compare.

pub mod board;
pub mod client;
pub mod error;
pub mod faults;
pub mod holder;
pub mod images;
pub mod info;
mod rows;
pub mod simulated;
pub mod wire;

#[cfg(unix)]
mod emulator;
#[cfg(unix)]
pub mod faulty_port;
#[cfg(unix)]
mod in_process;
#[cfg(unix)]
pub mod on_target;
#[cfg(unix)]
mod pty;

pub use board::{Board, BoardKind};
pub use client::{Client, Image, Sent};
pub use error::PortError;
pub use images::images;
pub use info::{BoardInfo, ModelInfo, hex};
