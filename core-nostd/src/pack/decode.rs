//! Decodes a header part by part, each into its place. Decoded as one value, it would lie on the stack several times
//! over.

use serde::Deserialize;

use super::error::PackError;
use super::layout::{Block, Conv, Dense, Header, NoiseMap, ToRgb, WeightWidth};

/// Decodes a header that takes up all of `encoded`. Fields and their order are those of [`Header`]'s own encoding.
#[inline(never)]
pub fn header<'a>(encoded: &'a [u8], header: &mut Header<'a>) -> Result<(), PackError> {
    let mut left = encoded;
    let left = &mut left;
    (header.name, header.channels) = (next(left)?, next(left)?);
    (header.z_dim, header.w_dim) = (next(left)?, next(left)?);
    (header.image_fraction, header.noise, header.const_noise) = (next(left)?, next(left)?, next(left)?);
    (header.w_average, header.constant) = (next(left)?, next(left)?);
    for _ in 0..next::<u32>(left)? {
        header.mapping.push(dense(left)?).map_err(|_| PackError::Header)?;
    }
    for _ in 0..next::<u32>(left)? {
        header.blocks.push(block(left)?).map_err(|_| PackError::Header)?;
    }
    if left.is_empty() { Ok(()) } else { Err(PackError::Header) }
}

fn block(left: &mut &[u8]) -> Result<Block, PackError> {
    let conv0 = if next(left)? { Some(conv(left)?) } else { None };
    let conv1 = conv(left)?;
    let torgb = ToRgb { affine: dense(left)?, rgb: dense(left)?, limit: next(left)? };
    Ok(Block { conv0, conv1, torgb })
}

#[inline(never)]
fn conv(left: &mut &[u8]) -> Result<Conv, PackError> {
    Ok(Conv {
        affine: dense(left)?,
        outputs: next(left)?,
        weights: next(left)?,
        biases: next(left)?,
        modulation_shift: next(left)?,
        gain: next(left)?,
        fir: next(left)?,
        limit: next(left)?,
        noise: next(left)?,
        noise_map: if next(left)? {
            Some(NoiseMap { width: width(left)?, values: next(left)?, scale: next(left)? })
        } else {
            None
        },
    })
}

#[inline(never)]
fn dense(left: &mut &[u8]) -> Result<Dense, PackError> {
    Ok(Dense {
        inputs: next(left)?,
        outputs: next(left)?,
        width: width(left)?,
        weights: next(left)?,
        scales: next(left)?,
        biases: next(left)?,
        shift: next(left)?,
        fraction: next(left)?,
    })
}

fn width(left: &mut &[u8]) -> Result<WeightWidth, PackError> {
    match next::<u32>(left)? {
        0 => Ok(WeightWidth::I8),
        1 => Ok(WeightWidth::I16),
        2 => Err(PackError::FourBitWeights),
        _ => Err(PackError::Header),
    }
}

fn next<'a, T: Deserialize<'a>>(left: &mut &'a [u8]) -> Result<T, PackError> {
    let (value, rest) = postcard::take_from_bytes(left).map_err(|_| PackError::Header)?;
    *left = rest;
    Ok(value)
}
