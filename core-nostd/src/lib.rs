//! A StyleGAN2 generator in integers, for microcontrollers: from a seed to pixels, the pack that a model travels in, and the
//! protocol between a device and its host.
//!
//! The crate allocates nothing, uses no floating point, and makes the same bytes on every processor. A pack is read in place.
//! Whatever bytes it has, it is either refused or generates without overflow and without panic.
//!
//! ```text
//!   seed -> latent -> mapping -> synthesis -> rows of pixels     the generator
//!                        \          |
//!                         pack     kernel                       numbers in flash, arithmetic on rows
//!
//!   serial line -> link -> device -> storage                    the same in firmware, emulator and tests
//!                            |
//!                        generator
//! ```
//!
//! [`pack::Pack::open`] verifies a pack, and [`generator::generate`] makes an image of it, row by row:
//!
//! ```
//! use core::ops::ControlFlow;
//! use nickeldime_core::generator::{Latent, Noise, Sample, generate};
//! use nickeldime_core::hash::Sha256;
//! use nickeldime_core::hex::Hex;
//! use nickeldime_core::pack::Pack;
//!
//! # let model = nickeldime_testkit::packs::random_pack(&nickeldime_testkit::packs::tiny(), 1);
//! # let bytes = model.bytes();
//! let pack = Pack::open(bytes)?;
//! let sample = Sample { latent: Latent::Seed(7), psi: 1 << 14, noise: Noise::Random(7) };
//! let mut workspace = vec![0; pack.workspace_len()];
//! let mut hash = Sha256::new();
//! generate(&pack, &sample, &mut workspace, &mut |_y, pixels| {
//!     hash.update(pixels);
//!     ControlFlow::Continue(())
//! })?;
//! println!("{}x{}: {}", pack.resolution(), pack.resolution(), Hex(&hash.finalize()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A board gives a serial port, a flash and some buffers to [`device::Device`], which stores packs and makes images at the
//! request of a host. `examples/generate.rs` writes an image to a file.
//!
//! # Features
//!
//! * `std`: `pack::PackBuilder`, which writes packs.
//! * `dsp`: the kernels for Arm's DSP extension on a `thumbv8m.main` core, which every `thumbv7em` core has anyway.
//! * `mve`: the kernels for Helium on a `thumbv8m.main` core.
//! * `portable-kernels`: the plain Rust kernels everywhere, to compare others with.
//!
//! # Minimum supported Rust version
//!
//! Rust 1.95.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod dense;
pub mod device;
pub mod generator;
pub mod hash;
pub mod hex;
pub mod kernel;
pub mod latent;
pub mod link;
mod mapping;
pub mod number;
pub mod pack;
pub mod sample;
pub mod storage;
mod synthesis;
