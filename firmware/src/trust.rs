//! The keys that this firmware trusts. They are chosen when it is built: the feature `signed` takes public keys from the
//! variable `NICKELDIME_TRUST`, each 64 hexadecimal digits, with commas between them.

use nickeldime_core::pack::Trust;
#[cfg(feature = "signed")]
use nickeldime_core::pack::trust::{ed25519, key_id};

/// The keys that this firmware trusts: none in particular, so it loads any pack.
#[cfg(not(feature = "signed"))]
pub const TRUST: Trust = Trust::ANYBODY;

// `build.rs` writes KEYS, IDS and TRUST.
#[cfg(feature = "signed")]
include!(concat!(env!("OUT_DIR"), "/trust.rs"));
