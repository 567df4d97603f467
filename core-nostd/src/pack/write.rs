//! Builds packs from a header and arrays. This is the only module that knows how the bytes of a pack are put together.

use std::vec;
use std::vec::Vec;

use super::error::PackError;
use super::layout::{
    ALIGNMENT, Conv, Dense, FORMAT_VERSION, HASH_LEN, Header, MAGIC, MAX_SIGNATURES, PREFIX_LEN, SIGNATURE_LEN,
};
use super::parts::{CONTENTS_LENGTH_AT, HEADER_LENGTH_AT, LENGTH_AT};
use crate::hash::sha256;

/// Upper bound of the header's length: 9 blocks of at most 250 bytes and 16 mapping layers of at most 25.
const MAX_HEADER: usize = 1 << 14;

/// Counts the places of aligned arrays without holding them, to find how long a pack will be.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArrayPlaces {
    end: usize,
}

impl ArrayPlaces {
    /// Reserves the place of an array of `len` bytes, and returns its offset from the first array.
    pub fn take(&mut self, len: usize) -> u32 {
        let start = self.end;
        self.end = start.saturating_add(len).next_multiple_of(ALIGNMENT);
        // A pack that is too long is refused by `finish`.
        u32::try_from(start).unwrap_or(u32::MAX)
    }

    /// Length in bytes of a pack with these arrays and without signatures. Offsets in `header` count from the first
    /// array.
    ///
    /// # Errors
    /// The errors of [`PackBuilder::finish`].
    pub fn pack_len(&self, header: &Header<'_>) -> Result<usize, PackError> {
        Ok(placed(header)?.1 + self.end + HASH_LEN)
    }
}

/// Builds a pack: arrays are pushed first, the caller puts their offsets into a header, and `finish` writes the header
/// before them.
#[derive(Debug, Clone, Default)]
pub struct PackBuilder {
    places: ArrayPlaces,
    arrays: Vec<u8>,
}

impl PackBuilder {
    /// A builder without arrays.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an array and returns its offset from the first one.
    pub fn push(&mut self, array: impl IntoIterator<Item = u8>) -> u32 {
        let start = self.arrays.len();
        self.arrays.extend(array);
        let offset = self.places.take(self.arrays.len() - start);
        self.arrays.resize(self.places.end, 0);
        offset
    }

    /// The bytes of the arrays so far, and of the padding between them.
    pub fn arrays_mut(&mut self) -> &mut [u8] {
        &mut self.arrays
    }

    /// Builds the whole pack. Offsets in `header` count from the first array and are moved to where that lies. Nothing
    /// is verified; use [`Pack::open`](super::Pack::open) for that.
    ///
    /// # Errors
    /// [`PackError::Header`] for a header that is too long to encode, [`PackError::TooLarge`] for a pack above 4 GiB.
    pub fn finish(&self, header: &Header<'_>) -> Result<Vec<u8>, PackError> {
        let (encoded, base) = placed(header)?;
        let mut bytes = vec![0; base];
        bytes.splice(PREFIX_LEN..PREFIX_LEN + encoded.len(), encoded.iter().copied());
        bytes.extend_from_slice(&self.arrays);
        let contents_len = field(bytes.len())?;
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, MAGIC.len(), &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, HEADER_LENGTH_AT, &field(encoded.len())?);
        put(&mut bytes, CONTENTS_LENGTH_AT, &contents_len);
        sealed(bytes, 0)
    }
}

/// The same pack with room for `count` signatures (at most [`MAX_SIGNATURES`]), which are zeros. Its hash depends on the
/// count, because the contents include the length of the pack.
///
/// # Errors
/// [`PackError::Layout`] for bytes that are not a pack or for too many signatures.
pub fn with_signatures(pack: &[u8], count: usize) -> Result<Vec<u8>, PackError> {
    let contents = super::parts::Parts::of(pack)?.contents;
    if count > MAX_SIGNATURES {
        return Err(PackError::Layout);
    }
    sealed(contents.to_vec(), count)
}

/// Signs a pack's hash: returns a public key of 32 bytes, and its signature of 64.
pub type SignHash<'a> = &'a dyn Fn(&[u8; HASH_LEN]) -> [u8; SIGNATURE_LEN];

/// The same pack with these signatures.
///
/// # Errors
/// [`PackError::Layout`] for bytes that are not a pack or for too many signatures.
pub fn signed(pack: &[u8], signers: &[SignHash<'_>]) -> Result<Vec<u8>, PackError> {
    let mut pack = with_signatures(pack, signers.len())?;
    let hash = super::parts::Parts::of(&pack)?.hash;
    let first = pack.len() - signers.len() * SIGNATURE_LEN;
    for (signer, place) in signers.iter().zip(pack[first..].chunks_exact_mut(SIGNATURE_LEN)) {
        place.copy_from_slice(&signer(&hash));
    }
    Ok(pack)
}

/// Completes contents with the lengths, their hash and zeros for the signatures.
fn sealed(mut contents: Vec<u8>, signatures: usize) -> Result<Vec<u8>, PackError> {
    let trailer = HASH_LEN + signatures * SIGNATURE_LEN;
    let length = field(contents.len() + trailer)?;
    put(&mut contents, LENGTH_AT, &length);
    let hash = sha256(&contents);
    contents.extend_from_slice(&hash);
    contents.resize(contents.len() + signatures * SIGNATURE_LEN, 0);
    Ok(contents)
}

fn field(value: usize) -> Result<[u8; 4], PackError> {
    u32::try_from(value).map(u32::to_le_bytes).map_err(|_| PackError::TooLarge)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// The encoded header, with its offsets moved to where the arrays begin, and the offset of the first array.
///
/// The header's own length decides where the arrays begin, and the offsets decide its length. Offsets only get longer when
/// they grow, so a few rounds settle it.
fn placed(header: &Header<'_>) -> Result<(Vec<u8>, usize), PackError> {
    let mut base = (PREFIX_LEN + encode(header)?.len()).next_multiple_of(ALIGNMENT);
    loop {
        let encoded = encode(&moved(header, base))?;
        let wanted = (PREFIX_LEN + encoded.len()).next_multiple_of(ALIGNMENT);
        if wanted <= base {
            return Ok((encoded, base));
        }
        base = wanted;
    }
}

fn encode(header: &Header<'_>) -> Result<Vec<u8>, PackError> {
    let mut buffer = vec![0; MAX_HEADER];
    let len = postcard::to_slice(header, &mut buffer).map_err(|_| PackError::Header)?.len();
    buffer.truncate(len);
    Ok(buffer)
}

/// The header with all offsets moved by `base`.
fn moved<'a>(header: &Header<'a>, base: usize) -> Header<'a> {
    let mut header = header.clone();
    let base = base as u32;
    let add = |offset: &mut u32| *offset = offset.wrapping_add(base);
    let dense = |d: &mut Dense| [&mut d.weights, &mut d.scales, &mut d.biases].into_iter().for_each(add);
    let conv = |c: &mut Conv| {
        dense(&mut c.affine);
        [&mut c.weights, &mut c.biases].into_iter().for_each(add);
        if let Some(map) = &mut c.noise_map {
            add(&mut map.values);
        }
    };
    [&mut header.w_average, &mut header.constant].into_iter().for_each(add);
    header.mapping.iter_mut().for_each(dense);
    for block in &mut header.blocks {
        block.conv0.iter_mut().for_each(conv);
        conv(&mut block.conv1);
        dense(&mut block.torgb.affine);
        dense(&mut block.torgb.rgb);
    }
    header
}
