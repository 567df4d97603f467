//! Compress a StyleGAN2 generator, quantise it, and ship it to a microcontroller.
//!
//! The pipeline, in its order: [`nickeldime_checkpoint`] -> [`nets`] -> [`compress`] -> [`quantise`] -> [`nickeldime_link`],
//! with [`cli`] on top, [`metrics`] and [`report`] beside.

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
