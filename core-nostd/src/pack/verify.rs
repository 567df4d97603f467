//! The proof that a header and its arrays cannot make the generator misbehave: sizes agree, arrays lie inside the pack,
//! scales are in range, and no accumulator can overflow. The packer uses the same functions to choose its scales.

use super::arrays::{array, i8_array};
use super::error::PackError;
use super::layout::{
    ALIGNMENT, Block, Conv, Dense, Header, MAX_FEATURES, MAX_NAME, MAX_ROW_SCALE, NoiseMap, ToRgb, W_FRACTION,
};
use crate::kernel::layout;
use crate::number::{MAX_I16, MAX_OFFSET, Requant};

/// Smallest and largest modulation shift. With 15, activations keep all the bits that fit in 16.
pub const MODULATION_SHIFTS: core::ops::RangeInclusive<u8> = 15..=30;

/// Largest `image_fraction`.
pub const MAX_IMAGE_FRACTION: u8 = 8;

/// Largest limit of a toRGB layer: an image entry added to it stays in `i32`.
pub const MAX_RGB_LIMIT: i32 = 1 << 24;

/// Largest magnitude of a modulated activation, `round(x * s / 2^shift)`.
pub fn max_modulated(shift: u8) -> i64 {
    let shift = shift.clamp(1, 62);
    (MAX_I16 as i64 * MAX_I16 as i64 + (1 << (shift - 1))) >> shift
}

/// True if one output channel's accumulator stays in `i32` for all activations: `sum |w| * max |x'| < 2^31`.
/// Every partial sum, of any subset of the taps in any order, then stays in `i32` too.
pub fn accumulator_fits(weights: impl IntoIterator<Item = i8>, modulation_shift: u8) -> bool {
    sum_fits(weights.into_iter().map(|w| u64::from(w.unsigned_abs())).sum(), modulation_shift)
}

/// True if the accumulator of an output channel whose weights' magnitudes have this sum stays in `i32`.
fn sum_fits(sum: u64, modulation_shift: u8) -> bool {
    sum.saturating_mul(max_modulated(modulation_shift).unsigned_abs()) <= i32::MAX as u64
}

/// The sums of the magnitudes of the two output channels' weights, which alternate in `pair`. Four weights are added at
/// a time.
fn magnitudes(pair: &[i8]) -> [u64; 2] {
    let (mut even, mut odd) = (0u64, 0u64);
    let (words, rest) = bytemuck::cast_slice::<i8, u8>(pair).as_chunks();
    // A word adds at most 128 to each half of a sum.
    for words in words.chunks(256) {
        let mut sums = [0u32; 2];
        for &word in words {
            let word = u32::from_le_bytes(word);
            let negative = (word >> 7) & 0x0101_0101;
            let magnitude = (word ^ negative.wrapping_mul(0xFF)).wrapping_add(negative);
            sums[0] += magnitude & 0x00FF_00FF;
            sums[1] += (magnitude >> 8) & 0x00FF_00FF;
        }
        let [low, high] = sums.map(|sum| u64::from(sum & 0xFFFF) + u64::from(sum >> 16));
        (even, odd) = (even + low, odd + high);
    }
    debug_assert!(rest.is_empty(), "weights of a pair come in fours");
    [even, odd]
}

/// The extent of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The header alone: sizes, offsets, scales and shifts.
    Structure,
    /// The header and every table and weight.
    Numbers,
}

/// Verifies a decoded header against `contents`, the bytes before the pack's hash; `header_end` is where its arrays may begin.
pub(crate) fn verify(contents: &[u8], header_end: usize, header: &Header<'_>, proof: Proof) -> Result<(), PackError> {
    let check = Check { bytes: contents, header_end, colours: header.channels.into(), proof };
    check.header(header)
}

struct Check<'a> {
    bytes: &'a [u8],
    header_end: usize,
    colours: u16,
    proof: Proof,
}

fn ensure(condition: bool, error: PackError) -> Result<(), PackError> {
    if condition { Ok(()) } else { Err(error) }
}

/// Checks the width of a vector or feature map.
fn width(value: u16) -> Result<usize, PackError> {
    let value = usize::from(value);
    ensure((1..=MAX_FEATURES).contains(&value), PackError::Architecture)?;
    Ok(value)
}

fn shift_in_range(scale: Requant) -> Result<(), PackError> {
    ensure(scale.shift <= Requant::MAX_SHIFT, PackError::Scale)
}

impl Check<'_> {
    fn header(&self, header: &Header<'_>) -> Result<(), PackError> {
        ensure(header.name.len() <= MAX_NAME, PackError::Header)?;
        ensure(matches!(header.channels, 1 | 3), PackError::Architecture)?;
        ensure(header.image_fraction <= MAX_IMAGE_FRACTION, PackError::Scale)?;
        ensure(header.blocks.len() >= 2, PackError::Architecture)?;
        let w_dim = width(header.w_dim)?;
        self.span(header.w_average, w_dim, 4)?;

        let mut inputs = width(header.z_dim)?;
        for layer in &header.mapping {
            self.dense(layer, inputs)?;
            inputs = width(layer.outputs)?;
        }
        ensure(inputs == w_dim, PackError::Architecture)?;
        let last = header.mapping.last().ok_or(PackError::Architecture)?;
        ensure(last.fraction == W_FRACTION, PackError::Scale)?;

        let mut channels = width(header.blocks.first().ok_or(PackError::Architecture)?.conv1.affine.outputs)?;
        self.span(header.constant, 16 * channels, 2)?;
        self.numbers(PackError::Scale, || {
            array::<i16>(self.bytes, header.constant, 16 * channels).iter().all(|&v| v != i16::MIN)
        })?;

        for (index, block) in header.blocks.iter().enumerate() {
            channels = self.block(block, index, channels, w_dim, header.const_noise)?;
        }
        Ok(())
    }

    /// Verifies a block. Returns the number of its feature map's channels.
    fn block(
        &self,
        block: &Block,
        index: usize,
        channels: usize,
        w_dim: usize,
        maps: bool,
    ) -> Result<usize, PackError> {
        let resolution = 4usize << index;
        ensure(block.conv0.is_some() == (index > 0), PackError::Architecture)?;
        let mut channels = channels;
        if let Some(conv) = &block.conv0 {
            ensure(conv.fir.is_some(), PackError::Architecture)?;
            channels = self.conv(conv, resolution, channels, w_dim, maps)?;
        }
        ensure(block.conv1.fir.is_none(), PackError::Architecture)?;
        channels = self.conv(&block.conv1, resolution, channels, w_dim, maps)?;
        self.torgb(&block.torgb, channels, w_dim)?;
        Ok(channels)
    }

    /// Verifies a convolution. Returns its number of output channels.
    fn conv(
        &self,
        conv: &Conv,
        resolution: usize,
        inputs: usize,
        w_dim: usize,
        maps: bool,
    ) -> Result<usize, PackError> {
        self.dense(&conv.affine, w_dim)?;
        ensure(usize::from(conv.affine.outputs) == inputs, PackError::Architecture)?;
        let outputs = width(conv.outputs)?;

        ensure(conv.gain.is_normal() && conv.limit > 0, PackError::Scale)?;
        ensure(MODULATION_SHIFTS.contains(&conv.modulation_shift), PackError::Scale)?;
        shift_in_range(conv.noise)?;
        conv.fir.map_or(Ok(()), shift_in_range)?;
        if let Some(map) = &conv.noise_map {
            ensure(maps, PackError::Architecture)?;
            self.noise_map(map, resolution)?;
        }

        self.span(conv.biases, outputs, 4)?;
        self.numbers(PackError::Scale, || {
            let biases = array::<i32>(self.bytes, conv.biases, outputs);
            biases.iter().all(|b| (-MAX_OFFSET..=MAX_OFFSET).contains(b))
        })?;

        let len = layout::conv_len(inputs, outputs);
        self.span(conv.weights, len, 1)?;
        self.numbers(PackError::Overflow, || {
            let weights = i8_array(self.bytes, conv.weights, len);
            let mut pairs = weights.chunks_exact(layout::pair_len(inputs));
            pairs.all(|pair| magnitudes(pair).into_iter().all(|sum| sum_fits(sum, conv.modulation_shift)))
        })?;
        Ok(outputs)
    }

    fn noise_map(&self, map: &NoiseMap, resolution: usize) -> Result<(), PackError> {
        shift_in_range(map.scale)?;
        self.span(map.values, resolution * resolution, map.width.bytes())
    }

    fn torgb(&self, torgb: &ToRgb, channels: usize, w_dim: usize) -> Result<(), PackError> {
        self.dense(&torgb.affine, w_dim)?;
        ensure(usize::from(torgb.affine.outputs) == channels, PackError::Architecture)?;
        self.dense(&torgb.rgb, channels)?;
        ensure(torgb.rgb.outputs == self.colours, PackError::Architecture)?;
        ensure((1..=MAX_RGB_LIMIT).contains(&torgb.limit), PackError::Scale)
    }

    /// Checks a dense layer. Its sums are 64 bits wide and at most `2048 * 2^15 * 2^15 * MAX_ROW_SCALE = 2^62`, so
    /// limits on sizes and scales are the whole proof.
    fn dense(&self, layer: &Dense, inputs: usize) -> Result<(), PackError> {
        let outputs = width(layer.outputs)?;
        ensure(usize::from(layer.inputs) == inputs, PackError::Architecture)?;
        self.span(layer.weights, outputs * inputs, layer.width.bytes())?;
        self.span(layer.biases, outputs, 4)?;
        self.span(layer.scales, outputs, 4)?;
        self.numbers(PackError::Scale, || {
            array::<u32>(self.bytes, layer.scales, outputs).iter().all(|&s| s < MAX_ROW_SCALE)
        })
    }

    /// Runs a check that reads tables or weights, if the proof includes those.
    fn numbers(&self, error: PackError, holds: impl FnOnce() -> bool) -> Result<(), PackError> {
        ensure(self.proof == Proof::Structure || holds(), error)
    }

    fn span(&self, offset: u32, count: usize, size: usize) -> Result<(), PackError> {
        let start = usize::try_from(offset).map_err(|_| PackError::Layout)?;
        let end = count.checked_mul(size).and_then(|len| start.checked_add(len)).ok_or(PackError::Layout)?;
        let inside = start >= self.header_end && end <= self.bytes.len();
        ensure(inside && start.is_multiple_of(ALIGNMENT), PackError::Layout)
    }
}
