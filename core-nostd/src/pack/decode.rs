//! A header from its bytes, part by part, each into its place: as one value it would lie on the stack several times over.

use serde::Deserialize;

use super::error::PackError;
use super::layout::{Block, Header};

/// Decodes a header that takes up all of `encoded`. Fields and their order are those of [`Header`]'s own encoding.
#[inline(never)]
pub fn header<'a>(encoded: &'a [u8], header: &mut Header<'a>) -> Result<(), PackError> {
    let mut left = encoded;
    let left = &mut left;
    header.name = next(left)?;
    (header.z_dim, header.w_dim) = (next(left)?, next(left)?);
    (header.image_fraction, header.noise, header.const_noise) = (next(left)?, next(left)?, next(left)?);
    (header.w_average, header.constant) = (next(left)?, next(left)?);
    for _ in 0..next::<u32>(left)? {
        header.mapping.push(next(left)?).map_err(|_| PackError::Header)?;
    }
    for _ in 0..next::<u32>(left)? {
        let block = Block { conv0: next(left)?, conv1: next(left)?, torgb: next(left)? };
        header.blocks.push(block).map_err(|_| PackError::Header)?;
    }
    if left.is_empty() { Ok(()) } else { Err(PackError::Header) }
}

fn next<'a, T: Deserialize<'a>>(left: &mut &'a [u8]) -> Result<T, PackError> {
    let (value, rest) = postcard::take_from_bytes(left).map_err(|_| PackError::Header)?;
    *left = rest;
    Ok(value)
}
