//! Speaks to a nickeldime board over a serial line.
//!
//! ```text
//!   Session, Client  -->  Machine: the protocol  -->  bytes
//! ```
//!
//! [`Machine`] is the client of the protocol without input, output, clock or thread: bytes and the time go in, bytes and
//! one deadline come out. It needs `alloc` alone. [`Session`] gives it commands and takes events, for a program that has
//! its own loop (a web page, another language, a microcontroller). With the feature `std`, which is on by default,
//! `Client` drives it over a serial port, `ports` lists the ports, and `PortError` says in words what to do
//! when something is wrong. Every wait has a time limit, and what is lost on the line is sent again. The messages themselves
//! are those of `nickeldime_core::link`.
//!
//! Over a serial port:
//!
//! ```no_run
//! # #[cfg(feature = "std")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::ops::ControlFlow;
//! use nickeldime_core::generator::{Latent, Noise, Sample};
//! use nickeldime_link::Client;
//!
//! let mut board = Client::open("/dev/ttyACM0")?;
//! let pack = std::fs::read("model.ndm")?;
//! board.upload(&pack, &mut |sent, of| println!("{sent} of {of} bytes"))?;
//! let sample = Sample { latent: Latent::Seed(1), psi: 1 << 14, noise: Noise::Const };
//! let image = board.sample(&sample, &mut |_, _| ControlFlow::Continue(()))?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "std"))]
//! # fn main() {}
//! ```
//!
//! In a loop of one's own, over any line:
//!
//! ```
//! use core::time::Duration;
//! use nickeldime_link::{Event, LinkError, Session};
//!
//! let mut session = Session::new(1);
//! session.hello();
//! let mut now = Duration::ZERO;
//! let failed = loop {
//!     session.advance(now);
//!     while let Some(frame) = session.outgoing() {
//!         // Bytes for the board. Here nobody is at the other end of the line.
//!         assert!(!frame.is_empty());
//!     }
//!     match session.event() {
//!         Some(Event::Failed(error)) => break error,
//!         Some(_) => continue,
//!         // Bytes from the board would be given to `session.receive`; without any the next thing happens then:
//!         None => now = session.deadline().unwrap_or(now),
//!     }
//! };
//! assert!(matches!(failed, LinkError::Silent));
//! ```
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

pub mod error;
pub mod info;
pub mod machine;
pub mod session;

#[cfg(feature = "std")]
pub mod client;
#[cfg(feature = "std")]
pub mod holder;
#[cfg(feature = "std")]
pub mod port_error;
#[cfg(feature = "std")]
pub mod ports;
#[cfg(feature = "std")]
pub mod wire;

#[cfg(feature = "std")]
pub use client::Client;
pub use error::LinkError;
pub use info::{BoardInfo, ModelInfo};
pub use machine::{Image, Machine, Sent};
#[cfg(feature = "std")]
pub use port_error::PortError;
pub use session::{Event, LatentNumbers, Session};
