//! The parts of a pack: prefix, header, arrays, hash and signatures.

use super::error::PackError;
use super::layout::{ALIGNMENT, FORMAT_VERSION, HASH_LEN, MAGIC, MAX_SIGNATURES, PREFIX_LEN, SIGNATURE_LEN};
use crate::hash::sha256;

/// Offset in the prefix of the length of the whole pack.
pub(crate) const LENGTH_AT: usize = 12;
/// Offset in the prefix of the length of the header.
pub(crate) const HEADER_LENGTH_AT: usize = 16;
/// Offset in the prefix of the length of the contents. The hash follows the contents.
pub(crate) const CONTENTS_LENGTH_AT: usize = 20;

/// A pack's bytes, split into its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The whole pack.
    pub bytes: &'a [u8],
    /// The bytes before the hash.
    pub contents: &'a [u8],
    /// Offset of the header's end.
    pub header_end: usize,
    /// The stored SHA-256 of the contents.
    pub hash: [u8; HASH_LEN],
    /// The signatures after the hash.
    pub signatures: &'a [[u8; SIGNATURE_LEN]],
}

impl<'a> Parts<'a> {
    /// Splits `bytes`, which must be exactly a pack and begin at a multiple of 4 in memory.
    pub fn of(bytes: &'a [u8]) -> Result<Self, PackError> {
        let length = stored_len(bytes)?;
        if bytes.len() < length || length < PREFIX_LEN {
            return Err(PackError::Truncated);
        }
        if bytes.len() > length {
            return Err(PackError::TrailingBytes);
        }
        if bytes.as_ptr().align_offset(4) != 0 {
            return Err(PackError::Misaligned);
        }
        let contents_len = u32_at(bytes, CONTENTS_LENGTH_AT)?;
        let (contents, trailer) = bytes.split_at_checked(contents_len).ok_or(PackError::Layout)?;
        let (&hash, signatures) = trailer.split_first_chunk().ok_or(PackError::Layout)?;
        let (signatures, rest) = signatures.as_chunks();
        let header_end = PREFIX_LEN.checked_add(u32_at(bytes, HEADER_LENGTH_AT)?).ok_or(PackError::Layout)?;
        let aligned = contents_len.is_multiple_of(ALIGNMENT) && header_end <= contents_len;
        if !aligned || !rest.is_empty() || signatures.len() > MAX_SIGNATURES {
            return Err(PackError::Layout);
        }
        Ok(Self { bytes, contents, header_end, hash, signatures })
    }
}

/// Length in bytes of the pack that begins at `bytes`, from its prefix.
pub(crate) fn stored_len(bytes: &[u8]) -> Result<usize, PackError> {
    let prefix = bytes.get(..PREFIX_LEN);
    if !bytes.starts_with(&MAGIC) {
        return Err(if prefix.is_none() && MAGIC.starts_with(bytes.get(..8).unwrap_or(bytes)) {
            PackError::Truncated
        } else {
            PackError::NotAPack
        });
    }
    let prefix = prefix.ok_or(PackError::Truncated)?;
    let version = prefix.get(8..).and_then(|b| b.first_chunk()).ok_or(PackError::Truncated)?;
    let version = u16::from_le_bytes(*version);
    if version != FORMAT_VERSION {
        return Err(PackError::UnsupportedVersion(version));
    }
    u32_at(prefix, LENGTH_AT)
}

/// The SHA-256 of a pack's contents. Bytes that are not a pack hash as if their contents were empty.
pub fn content_hash(bytes: &[u8]) -> [u8; HASH_LEN] {
    let contents = u32_at(bytes, CONTENTS_LENGTH_AT).ok().and_then(|len| bytes.get(..len));
    sha256(contents.unwrap_or_default())
}

/// Little-endian field of the prefix at offset `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<usize, PackError> {
    let field = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or(PackError::Truncated)?;
    usize::try_from(u32::from_le_bytes(*field)).map_err(|_| PackError::TooLarge)
}
