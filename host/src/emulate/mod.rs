//! Boards that need no board: each is at its port what a real one is.
//!
//! ```text
//!   pty  -->  emulator (QEMU runs the firmware)
//!   pty  -->  in_process (a thread runs the device code of nickeldime-core)
//! ```
//!
//! [`faulty_port`] spoils what goes over a port, [`simulated`] is a board on a line with a time of its own, and `on_target`
//! runs the engine alone on an emulated processor, to count and to compare.

pub mod board;
pub mod faults;
pub mod reset;
pub mod simulated;

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

pub use board::{BoardKind, VirtualBoard};
pub use reset::ResetButton;
