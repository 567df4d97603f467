//! The model pack: one file that a device reads in place.
//!
//! A fixed prefix (magic, version, lengths, SHA-256), a postcard header ([`layout`]), and the numbers themselves, aligned,
//! little-endian. `docs/format.md` describes it byte by byte. [`Pack::open`] believes nothing: the hash finds accidents,
//! and [`verify`] finds everything that could make the generator read outside the pack or overflow, whoever wrote it.

pub(crate) mod arrays;
mod decode;
mod error;
pub mod layout;
pub(crate) mod plan;
pub mod verify;

use sha2::{Digest, Sha256};

pub use error::PackError;
pub use layout::{FORMAT_VERSION, NoiseKind, WeightWidth};
pub use plan::Ram;

use layout::{HASH_RANGE, Header, MAGIC, PREFIX_LEN};
use plan::WorkspacePlan;

#[cfg(target_endian = "big")]
compile_error!("packs are read in place and are little-endian");

/// A verified model, borrowed from its bytes.
#[derive(Debug, Clone)]
pub struct Pack<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
    plan: WorkspacePlan,
}

/// Little-endian field of the prefix.
fn u32_at(bytes: &[u8], at: usize) -> Result<usize, PackError> {
    let field = bytes.get(at..).and_then(|b| b.first_chunk()).ok_or(PackError::Truncated)?;
    usize::try_from(u32::from_le_bytes(*field)).map_err(|_| PackError::TooLarge)
}

/// SHA-256 of a whole pack but for the place where the prefix keeps it. `bytes` shorter than a prefix hash as if empty.
pub fn content_hash(bytes: &[u8]) -> [u8; 32] {
    let before = bytes.get(..HASH_RANGE.start).unwrap_or_default();
    let after = bytes.get(HASH_RANGE.end..).unwrap_or_default();
    Sha256::new().chain_update(before).chain_update(after).finalize().into()
}

impl<'a> Pack<'a> {
    /// Length in bytes of the pack that begins at `bytes`, from its first 64 bytes alone. Nothing but the magic and the
    /// version is verified: it tells how much of a storage slot to pass to [`Pack::open`].
    ///
    /// # Errors
    /// [`PackError::Truncated`], [`PackError::NotAPack`], [`PackError::UnsupportedVersion`].
    pub fn stored_len(bytes: &[u8]) -> Result<usize, PackError> {
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
        u32_at(prefix, 12)
    }

    /// Verifies a pack and opens it. `bytes` begin at a multiple of 4 in memory (16 serves every kernel) and are exactly
    /// the pack. Reads every byte twice: once for the hash, once for the proof that no accumulator can overflow.
    ///
    /// # Errors
    /// Every [`PackError`]; whatever the bytes, there is no panic, and a pack that opens generates without overflow.
    #[inline(never)]
    pub fn open(bytes: &'a [u8]) -> Result<Self, PackError> {
        let length = Self::stored_len(bytes)?;
        if bytes.len() < length || length < PREFIX_LEN {
            return Err(PackError::Truncated);
        }
        if bytes.len() > length {
            return Err(PackError::TrailingBytes);
        }
        if bytes.as_ptr().align_offset(4) != 0 {
            return Err(PackError::Misaligned);
        }
        if bytes.get(HASH_RANGE) != Some(&content_hash(bytes)[..]) {
            return Err(PackError::HashMismatch);
        }
        let header_end = PREFIX_LEN.checked_add(u32_at(bytes, 16)?).ok_or(PackError::Layout)?;
        let encoded = bytes.get(PREFIX_LEN..header_end).ok_or(PackError::Layout)?;
        let mut pack = Self { bytes, header: Header::default(), plan: WorkspacePlan::default() };
        decode::header(encoded, &mut pack.header)?;
        verify::verify(bytes, header_end, &pack.header)?;
        pack.plan = WorkspacePlan::new(&pack.header)?;
        Ok(pack)
    }

    /// Name given by the packer, at most 64 bytes.
    pub fn name(&self) -> &'a str {
        self.header.name
    }

    /// The SHA-256 that the prefix holds: of everything else in the pack.
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(self.bytes.iter().skip(HASH_RANGE.start)) {
            *to = *from;
        }
        hash
    }

    /// The whole pack.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Sizes, scales and offsets.
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Height and width of the image in pixels.
    pub fn resolution(&self) -> usize {
        2usize << self.header.blocks.len()
    }

    /// Width of z.
    pub fn z_dim(&self) -> usize {
        self.header.z_dim.into()
    }

    /// Width of w.
    pub fn w_dim(&self) -> usize {
        self.header.w_dim.into()
    }

    /// Entries of ws: one for each 3x3 convolution and one for the last toRGB.
    pub fn num_ws(&self) -> usize {
        2 * self.header.blocks.len()
    }

    /// Elements (`i32`) of the workspace that [`generate`](crate::generator::generate) needs.
    pub fn workspace_len(&self) -> usize {
        self.plan.total
    }

    /// Bytes of the workspace by part; their sum is [`Pack::workspace_len`] elements.
    pub fn ram(&self) -> Ram {
        self.plan.ram
    }

    /// The noise that the pack was made to be shown with.
    pub fn noise_default(&self) -> NoiseKind {
        self.header.noise
    }

    /// Whether [`Noise::Const`](crate::sample::Noise::Const) can be asked for.
    pub fn has_const_noise(&self) -> bool {
        self.header.const_noise
    }

    pub(crate) fn plan(&self) -> &WorkspacePlan {
        &self.plan
    }
}
