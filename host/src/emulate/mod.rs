//! Virtual boards. At its port, each behaves like a real board.
//!
//! ```text
//!   pty  -->  emulator (QEMU runs the firmware)
//!   pty  -->  rp2040     (Node runs the firmware, and the computer at the other end of its USB cable)
//!   pty  -->  in_process (a thread runs the device code of nickeldime-core)
//! ```
//!
//! [`faulty_port`] adds errors to a port, [`simulated`] is a board on a line with simulated time, and `on_target` runs
//! the engine alone on an emulated processor, to count instructions and to compare results.

pub mod board;
pub mod faults;
pub mod reset;
pub mod setup;
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
mod process;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod rp2040;

pub use board::{BoardKind, VirtualBoard};
pub use reset::ResetButton;
pub use setup::Setup;
