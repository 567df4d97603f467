//! Speaks to a nickeldime board over a serial line.
//!
//! ```text
//!   Client  --wire-->  serial port  -->  a board
//! ```
//!
//! [`Client`] opens a port, greets the board, sends it a model pack and asks it for images; [`ports`] lists the ports;
//! [`PortError`] says in words what to do when something is wrong. Every wait has a time limit, and what is lost on the
//! line is sent again. The messages themselves are those of `nickeldime_core::link`.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use nickeldime_core::generator::{Latent, Noise, Sample};
//! use nickeldime_link::Client;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut board = Client::open("/dev/ttyACM0")?;
//! let pack = std::fs::read("model.ndm")?;
//! board.upload(&pack, &mut |sent, of| println!("{sent} of {of} bytes"))?;
//! let sample = Sample { latent: Latent::Seed(1), psi: 1 << 14, noise: Noise::Const };
//! let image = board.sample(&sample, &mut |_, _| ControlFlow::Continue(()))?;
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod error;
pub mod holder;
pub mod info;
pub mod ports;
mod rows;
pub mod wire;

pub use client::{Client, Image, Sent};
pub use error::PortError;
pub use info::{BoardInfo, ModelInfo};
