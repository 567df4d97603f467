//! Bytes together with their hash, so that they are hashed once.

use super::layout::HASH_LEN;
use super::parts::{CONTENTS_LENGTH_AT, u32_at};
use crate::hash::Sha256;

/// Bytes whose hash has been computed. [`Pack::open_hashed`](super::Pack::open_hashed) takes them and does not hash them
/// again.
#[derive(Debug, Clone, Copy)]
pub struct Hashed<'a> {
    bytes: &'a [u8],
    sha256: [u8; HASH_LEN],
    intact: bool,
}

impl<'a> Hashed<'a> {
    /// Hashes all bytes and a pack's contents, in one pass.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut hash = Sha256::new();
        let mut rest = bytes;
        let mut intact = false;
        if let Ok(len) = u32_at(bytes, CONTENTS_LENGTH_AT)
            && let Some((contents, trailer)) = bytes.split_at_checked(len)
        {
            hash.update(contents);
            intact = trailer.first_chunk() == Some(&hash.clone().finalize());
            rest = trailer;
        }
        hash.update(rest);
        Self { bytes, sha256: hash.finalize(), intact }
    }

    /// Bytes that were hashed before, with the hash and `is_intact` from then.
    pub(crate) fn known(bytes: &'a [u8], sha256: [u8; HASH_LEN], intact: bool) -> Self {
        Self { bytes, sha256, intact }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The SHA-256 of all bytes.
    pub fn sha256(&self) -> [u8; HASH_LEN] {
        self.sha256
    }

    /// True if the bytes end their contents with the SHA-256 of those contents, as a pack does.
    pub fn is_intact(&self) -> bool {
        self.intact
    }
}
