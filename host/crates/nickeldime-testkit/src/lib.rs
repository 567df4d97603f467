//! Code that the tests of this workspace share.
//!
//! Without features: packs of random numbers and the synthesis network map by map, for the core and the firmware. With
//! `checkpoint`: writers of checkpoints and weights files, hashed weights, and the oracle of the integer engine. With `host`:
//! golden files, the command, and boards for it.

pub mod packs;
pub mod whole_map;

#[cfg(feature = "host")]
pub mod boards;
#[cfg(feature = "host")]
pub mod command;
#[cfg(feature = "checkpoint")]
pub mod critic_oracle;
#[cfg(feature = "host")]
pub mod golden;
#[cfg(feature = "checkpoint")]
pub mod hashed;
#[cfg(feature = "host")]
pub mod nested;
#[cfg(feature = "checkpoint")]
pub mod official;
#[cfg(feature = "checkpoint")]
pub mod oracle;
#[cfg(feature = "checkpoint")]
pub mod pickle_writer;
#[cfg(feature = "checkpoint")]
pub mod rosinality;
#[cfg(feature = "host")]
pub mod small_networks;
#[cfg(feature = "checkpoint")]
pub mod torch_writer;

use std::path::PathBuf;

/// The folder of the repository's fixtures.
pub fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fixtures"))
}

/// A file of the repository's fixtures.
pub fn fixture(name: &str) -> PathBuf {
    fixtures().join(name)
}
