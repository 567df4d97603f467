//! What tests share.
#![allow(dead_code, reason = "each test uses a part")]

pub mod command;
pub mod critic_oracle;
pub mod golden;
pub mod hashed;
pub mod nested;
pub mod official;
pub mod oracle;
pub mod pickle_writer;
pub mod rosinality;
pub mod small_networks;
pub mod torch_writer;

use std::path::PathBuf;

/// A file of the repository's fixtures.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures")).join(name)
}
