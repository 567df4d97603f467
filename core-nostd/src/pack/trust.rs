//! Trust: the keys that a pack must be signed with one of.
//!
//! A signature signs a pack's hash, which covers every byte before it, the length of the whole pack included. It therefore
//! belongs to one pack with one number of signatures.

use super::hashed::Hashed;
use super::layout::SIGNATURE_LEN;
use super::parts::Parts;

/// Bytes of an Ed25519 public key.
pub const KEY_LEN: usize = 32;
/// Bytes of a key's id, by which devices and people name it: the first bytes of the public key.
pub const ID_LEN: usize = 8;

/// The id of a public key.
pub const fn key_id(key: &[u8; KEY_LEN]) -> [u8; ID_LEN] {
    match key.first_chunk() {
        Some(id) => *id,
        None => unreachable!(),
    }
}

/// Bytes of an Ed25519 signature.
pub const SIGNED_LEN: usize = SIGNATURE_LEN - KEY_LEN;

/// Splits an entry of [`Pack::signatures`](super::Pack::signatures) into the public key and its signature of the hash.
pub const fn split(entry: &[u8; SIGNATURE_LEN]) -> (&[u8; KEY_LEN], &[u8; SIGNED_LEN]) {
    match entry.split_first_chunk() {
        Some((key, signature)) => match signature.first_chunk() {
            Some(signature) => (key, signature),
            None => unreachable!(),
        },
        None => unreachable!(),
    }
}

/// A function that says whether a signature of a message is that of a public key.
pub type Verify = fn(key: &[u8; KEY_LEN], message: &[u8], signature: &[u8; SIGNED_LEN]) -> bool;

/// The keys that a pack must be signed with one of. A device that trusts nobody in particular loads any pack, and has no
/// code that verifies signatures.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    /// The public keys; none for a device that loads any pack.
    pub keys: &'static [[u8; KEY_LEN]],
    /// Their ids ([`key_id`]), in the same order.
    pub ids: &'static [[u8; ID_LEN]],
    verify: Option<Verify>,
}

impl Trust {
    /// The trust of a device that loads any pack.
    pub const ANYBODY: Self = Self { keys: &[], ids: &[], verify: None };

    /// The trust of a device that loads what one of `keys` has signed, and no pack at all without keys. `ids` are those of the keys.
    pub const fn new(keys: &'static [[u8; KEY_LEN]], ids: &'static [[u8; ID_LEN]], verify: Verify) -> Self {
        Self { keys, ids, verify: Some(verify) }
    }

    /// Returns true for a pack that may be loaded: its contents have their hash, and one of the keys has signed it.
    pub fn accepts(&self, pack: &Hashed<'_>) -> bool {
        let Some(verify) = self.verify else { return true };
        let Ok(parts) = Parts::of(pack.bytes()) else { return false };
        pack.is_intact()
            && parts.signatures.iter().any(|entry| {
                let (key, signature) = split(entry);
                self.keys.contains(key) && verify(key, &parts.hash, signature)
            })
    }
}

/// Returns true if `signature` is that of `key`, by Ed25519 (RFC 8032). Keys and signatures that some verifiers take and
/// others do not are refused.
#[cfg(feature = "signatures")]
pub fn ed25519(key: &[u8; KEY_LEN], message: &[u8], signature: &[u8; SIGNED_LEN]) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

#[cfg(all(test, feature = "signatures"))]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).expect("a digit") as u8).collect();
        core::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1])
    }

    /// The vectors of RFC 8032, section 7.1, but for the one of 1,023 bytes.
    #[test]
    fn the_vectors_of_rfc_8032_verify_and_no_flipped_bit_does() {
        let abc: [u8; 64] = bytes(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
        let vectors: [(&str, &[u8], &str); 4] = [
            (
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &[],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                &[0xaf, 0x82],
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
            (
                "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
                &abc,
                "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
            ),
        ];
        for (key, message, signature) in vectors {
            let (key, signature) = (bytes::<32>(key), bytes::<64>(signature));
            assert!(ed25519(&key, message, &signature));
            for bit in (0..512).step_by(if cfg!(miri) { 97 } else { 1 }) {
                let mut flipped = signature;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!ed25519(&key, message, &flipped), "bit {bit}");
            }
            assert!(!ed25519(&key, b"another", &signature));
        }
    }
}
