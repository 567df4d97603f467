//! The model pack: one file that a device reads in place.
//!
//! A pack is a fixed prefix (magic, version, lengths), a postcard header ([`layout`]), the arrays of numbers, aligned
//! and little-endian, the SHA-256 of everything before it, and optionally signatures. `docs/format.md` describes it byte
//! by byte. [`Pack::open`] trusts nothing: the hash finds accidental damage, and [`verify`] finds everything that could
//! make the generator overflow or read outside the pack, whoever wrote it.

pub(crate) mod arrays;
mod decode;
mod error;
mod hashed;
pub mod layout;
mod parts;
pub(crate) mod plan;
pub mod trust;
pub mod verify;
#[cfg(feature = "std")]
pub mod write;

pub use error::PackError;
pub use hashed::Hashed;
pub use layout::{FORMAT_VERSION, NoiseKind, WeightWidth};
pub use parts::content_hash;
pub use plan::Ram;
pub use trust::Trust;
#[cfg(feature = "std")]
pub use write::PackBuilder;

use layout::{HASH_LEN, Header, PREFIX_LEN, SIGNATURE_LEN};
use parts::Parts;
use plan::WorkspacePlan;
use verify::Proof;

#[cfg(target_endian = "big")]
compile_error!("packs are read in place and are little-endian");

/// A verified model, borrowed from its bytes.
#[derive(Debug, Clone)]
pub struct Pack<'a> {
    parts: Parts<'a>,
    header: Header<'a>,
    plan: WorkspacePlan,
}

impl<'a> Pack<'a> {
    /// Length in bytes of the pack that begins at `bytes`, from its first 64 bytes alone. Only the magic and the version
    /// are checked. Use it to find how much of a storage slot to pass to [`Pack::open`].
    ///
    /// # Errors
    /// [`PackError::Truncated`], [`PackError::NotAPack`], [`PackError::UnsupportedVersion`].
    pub fn stored_len(bytes: &[u8]) -> Result<usize, PackError> {
        parts::stored_len(bytes)
    }

    /// Verifies a pack and opens it. `bytes` must begin at a multiple of 4 in memory (a multiple of 16 suits every
    /// kernel) and hold exactly the pack. Every byte is read for the hash, and the weights once more for the proof that
    /// no accumulator can overflow.
    ///
    /// # Errors
    /// Every [`PackError`]; whatever the bytes, there is no panic, and a pack that opens generates without overflow.
    pub fn open(bytes: &'a [u8]) -> Result<Self, PackError> {
        Self::open_hashed(Hashed::new(bytes))
    }

    /// Like [`open`](Self::open), for bytes that have been hashed already.
    ///
    /// # Errors
    /// Every [`PackError`].
    pub fn open_hashed(pack: Hashed<'a>) -> Result<Self, PackError> {
        let parts = Parts::of(pack.bytes())?;
        if !pack.is_intact() {
            return Err(PackError::HashMismatch);
        }
        Self::decode(parts, Proof::Numbers)
    }

    /// Opens bytes that were verified before, by [`open`](Self::open) or [`open_hashed`](Self::open_hashed): decodes the
    /// header and checks its sizes, offsets and scales, but reads no table, no weight and no hash.
    ///
    /// Bytes that have changed since then give an error or a wrong image. They never make the generator read or write
    /// outside its memory, and they make it panic only where it was compiled with overflow checks.
    ///
    /// # Errors
    /// Every [`PackError`] but [`PackError::HashMismatch`] and [`PackError::Overflow`].
    pub fn reopen(bytes: &'a [u8]) -> Result<Self, PackError> {
        Self::decode(Parts::of(bytes)?, Proof::Structure)
    }

    #[inline(never)]
    fn decode(parts: Parts<'a>, proof: Proof) -> Result<Self, PackError> {
        let encoded = parts.contents.get(PREFIX_LEN..parts.header_end).ok_or(PackError::Layout)?;
        let mut pack = Self { parts, header: Header::default(), plan: WorkspacePlan::default() };
        decode::header(encoded, &mut pack.header)?;
        verify::verify(parts.contents, parts.header_end, &pack.header, proof)?;
        pack.plan = WorkspacePlan::new(&pack.header)?;
        Ok(pack)
    }

    /// Name for people to read, at most 64 bytes.
    pub fn name(&self) -> &'a str {
        self.header.name
    }

    /// The SHA-256 that the pack holds, computed over all bytes before it.
    pub fn sha256(&self) -> [u8; HASH_LEN] {
        self.parts.hash
    }

    /// The signatures after the hash, each an Ed25519 public key (32 bytes) and its signature of the hash (64 bytes).
    /// Nothing has verified them.
    pub fn signatures(&self) -> &'a [[u8; SIGNATURE_LEN]] {
        self.parts.signatures
    }

    /// The whole pack.
    pub fn bytes(&self) -> &'a [u8] {
        self.parts.bytes
    }

    /// The header: sizes, scales and offsets.
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Height and width of the image in pixels.
    pub fn resolution(&self) -> usize {
        2usize << self.header.blocks.len()
    }

    /// Channels of the image: 3 for RGB, 1 for grey.
    pub fn channels(&self) -> usize {
        self.header.channels.into()
    }

    /// Number of values in z.
    pub fn z_dim(&self) -> usize {
        self.header.z_dim.into()
    }

    /// Number of values in w.
    pub fn w_dim(&self) -> usize {
        self.header.w_dim.into()
    }

    /// Number of ws: one for each 3x3 convolution and one for the last toRGB.
    pub fn num_ws(&self) -> usize {
        2 * self.header.blocks.len()
    }

    /// Elements (`i32`) of the workspace that [`generate`](crate::generator::generate) needs.
    pub fn workspace_len(&self) -> usize {
        self.plan.total
    }

    /// Bytes of the workspace by part. Their sum is 4 times [`Pack::workspace_len`].
    pub fn ram(&self) -> Ram {
        self.plan.ram
    }

    /// The noise that images of the pack should have by default.
    pub fn noise_default(&self) -> NoiseKind {
        self.header.noise
    }

    /// True if the pack has constant noise, so that [`Noise::Const`](crate::sample::Noise::Const) is possible.
    pub fn has_const_noise(&self) -> bool {
        self.header.const_noise
    }

    pub(crate) fn plan(&self) -> &WorkspacePlan {
        &self.plan
    }
}
