//! The noise that a layer adds to every channel of a pixel.

use crate::kernel::finish::RequantPlan;
use crate::kernel::selected;
use crate::latent;
use crate::number::{MAX_OFFSET, Requant};
use crate::pack::arrays::{array, i8_array};
use crate::pack::layout::{Conv, WeightWidth};
use crate::sample::Noise;

/// What a layer's noise is computed from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoiseInput<'a> {
    /// The bytes of the pack.
    pub bytes: &'a [u8],
    /// The kind of noise that the sample asks for.
    pub noise: Noise,
    /// Index of the layer among the 3x3 convolutions.
    pub layer: u32,
}

/// Writes row y of a layer's noise, in the output's units with its fractional bits.
// Not inlined, so that its variables do not enlarge the generator's stack frame.
#[inline(never)]
pub(crate) fn noise_row(input: NoiseInput<'_>, conv: &Conv, y: usize, out: &mut [i32]) {
    let NoiseInput { bytes, noise, layer } = input;
    let scaled = |v: i16, scale: Requant| scale.apply(v.into()).clamp(-MAX_OFFSET, MAX_OFFSET);
    match (noise, &conv.noise_map) {
        (Noise::Random(seed), _) if conv.noise.multiplier != 0 => match RequantPlan::with_room(conv.noise, 16) {
            // 2^15 * 2^31 / 2^19 = MAX_OFFSET - 1: no limit is needed.
            (before, RequantPlan::HighWord { multiplier, shift, .. }) if conv.noise.shift >= 19 => {
                random_row(seed, layer, y as u32, out);
                selected::normal_row(out, before, multiplier, shift);
            }
            _ => {
                random_row(seed, layer, y as u32, out);
                out.iter_mut().for_each(|out| *out = scaled(latent::quantile(*out as u32), conv.noise));
            }
        },
        (Noise::Const, Some(map)) => {
            let (width, count) = (out.len(), out.len() * out.len());
            match map.width {
                WeightWidth::I8 => {
                    let row = i8_array(bytes, map.values, count).iter().skip(y * width);
                    out.iter_mut().zip(row).for_each(|(out, &v)| *out = scaled(v.into(), map.scale));
                }
                WeightWidth::I16 => {
                    let row = array::<i16>(bytes, map.values, count).iter().skip(y * width);
                    out.iter_mut().zip(row).for_each(|(out, &v)| *out = scaled(v, map.scale));
                }
            }
        }
        _ => out.fill(0),
    }
}

/// Writes the words of [`latent::noise`] for a whole row, from column 0 on.
fn random_row(seed: u64, layer: u32, y: u32, out: &mut [i32]) {
    // Two columns share a block.
    let words: &mut [u32] = bytemuck::cast_slice_mut(out);
    let (blocks, last) = words.as_chunks_mut::<2>();
    let key = [seed as u32, (seed >> 32) as u32];
    selected::random_row(key, layer.wrapping_add(1), y << 15, blocks);
    if let [last] = last {
        *last = latent::word(seed, layer.wrapping_add(1), (y << 16) | (2 * blocks.len() as u32));
    }
}
