//! A StyleGAN2 generator in integers: from a seed to pixels, the pack that a model travels in, and the language of the link.
//!
//! No allocation, no floating point, the same bytes on every target. A pack is read in place; whatever bytes it has, it is
//! either refused or generates without overflow and without panic.
//!
//! ```text
//!   seed -> latent -> mapping -> synthesis -> rows of RGB        the generator
//!                        \          |
//!                         pack     kernel                       numbers in flash, arithmetic on rows
//!
//!   serial line -> link -> device -> storage                    the same in firmware, emulator and tests
//!                            |
//!                        generator
//! ```
//!
//! [`pack::Pack::open`] verifies a pack, [`generator::generate`] makes an image of it, [`device::Device`] does both at the
//! request of a host.
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
