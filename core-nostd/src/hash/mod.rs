//! SHA-256, for stored packs and for images.
//!
//! The crate `sha2` defines the result and does the work on most processors. Its plain Rust takes 45 instructions a byte
//! on a Cortex-M4, which would be most of a board's start-up time; there the compression function is in assembly and
//! takes 27.

#[cfg(thumb2_sha256)]
mod thumb2;

use sha2::digest::generic_array::GenericArray;

#[cfg(not(thumb2_sha256))]
pub use self::compress_portable as compress;
#[cfg(thumb2_sha256)]
pub use self::thumb2::compress;

/// Bytes that are compressed at once.
const BLOCK: usize = 64;

/// The state before the first block (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256's compression function over whole blocks, by the crate `sha2`.
pub fn compress_portable(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
    for block in blocks {
        sha2::compress256(state, core::slice::from_ref(GenericArray::from_slice(block)));
    }
}

/// Computes a SHA-256 from bytes that arrive piece by piece.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: [u32; 8],
    /// The bytes after the last whole block.
    rest: [u8; BLOCK],
    /// Number of bytes so far.
    len: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// A hash of no bytes yet.
    pub const fn new() -> Self {
        Self { state: INITIAL, rest: [0; BLOCK], len: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let filled = (self.len % BLOCK as u64) as usize;
        self.len = self.len.wrapping_add(bytes.len() as u64);
        let mut bytes = bytes;
        if filled > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK - filled));
            let end = filled + head.len();
            if let Some(place) = self.rest.get_mut(filled..end) {
                place.copy_from_slice(head);
            }
            if end < BLOCK {
                return;
            }
            compress(&mut self.state, core::slice::from_ref(&self.rest));
            bytes = tail;
        }
        let (blocks, tail) = bytes.as_chunks();
        compress(&mut self.state, blocks);
        for (place, &byte) in self.rest.iter_mut().zip(tail) {
            *place = byte;
        }
    }

    /// The hash of all bytes so far.
    pub fn finalize(mut self) -> [u8; 32] {
        let bits = self.len.wrapping_mul(8).to_be_bytes();
        let filled = (self.len % BLOCK as u64) as usize;
        let mut padding = [0; 2 * BLOCK];
        padding[0] = 0x80;
        // The length goes into this block, or into the next one if there is no room for it.
        let end = if filled < BLOCK - bits.len() { BLOCK - filled } else { 2 * BLOCK - filled };
        if let Some(place) = padding.get_mut(end - bits.len()..end) {
            place.copy_from_slice(&bits);
        }
        self.update(padding.get(..end).unwrap_or_default());
        let mut hash = [0; 32];
        for (place, word) in hash.as_chunks_mut().0.iter_mut().zip(self.state) {
            *place = word.to_be_bytes();
        }
        hash
    }
}

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finalize()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use sha2::Digest;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn bytes_of_any_length_in_any_pieces_have_the_hash_that_sha2_gives_them() {
        let bytes: Vec<u8> = (0..400u32).map(|i| (i * i + 7 * i) as u8).collect();
        for len in 0..bytes.len() {
            let expected: [u8; 32] = sha2::Sha256::digest(&bytes[..len]).into();
            assert_eq!(sha256(&bytes[..len]), expected, "{len} bytes");
            for piece in [1, 3, 63, 64, 65, 130] {
                let mut hash = Sha256::new();
                bytes[..len].chunks(piece).for_each(|piece| hash.update(piece));
                assert_eq!(hash.finalize(), expected, "{len} bytes in pieces of {piece}");
            }
        }
    }
}
