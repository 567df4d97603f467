//! The library behind the `nickeldime` command: compress a StyleGAN2 generator, quantise it, and send it to a microcontroller.
//!
//! The modules and crates, in the order of the pipeline:
//!
//! * [`nickeldime_checkpoint`] reads `.pkl`, `.pth` and safetensors files and knows architectures and their costs.
//! * [`data`] reads images, [`embed`] holds the embedding networks, [`nets`] the generator and the discriminator.
//! * [`compress`] prunes a teacher and distils it; [`run`] knows a run's folder.
//! * [`quantise`] turns a student into a model pack; [`draw`] draws images of checkpoints, packs and devices.
//! * [`boards`] says what fits a board and builds firmware; [`nickeldime_link`] talks to boards, [`emulate`] runs virtual ones.
//! * [`metrics`] measures images, [`report`] shows runs on a page, [`doctor`] checks a [`backend`].
//! * [`cli`] is the command line over all of these.
//!
//! `docs/architecture.md` in the repository has the picture, a glossary, and a table of where to change what.
//!
//! Features: `ndarray` (default) adds a second CPU backend, `cuda` adds NVIDIA GPUs.

pub mod backend;
pub mod boards;
pub mod cli;
pub mod compress;
pub mod data;
pub mod doctor;
pub mod draw;
pub mod embed;
pub mod emulate;
pub mod hash;
pub mod keys;
pub mod metrics;
pub mod nets;
pub mod numpy_random;
pub mod picture;
pub mod progress;
pub mod quantise;
pub mod report;
pub mod run;

/// The programs of the README, compiled as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
