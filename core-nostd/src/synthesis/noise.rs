//! The noise that a layer adds to every channel of a pixel.

use crate::generator::Noise;
use crate::kernel::Scale;
use crate::kernel::finish::upper;
use crate::latent;
use crate::number::{MAX_OFFSET, Requant};
use crate::pack::layout::{Conv, WeightWidth};
use crate::pack::{array, i8_array};

/// Where a layer's noise comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoiseInput<'a> {
    /// The pack.
    pub bytes: &'a [u8],
    /// What the sample asks for.
    pub noise: Noise,
    /// Which of the 3x3 convolutions the layer is.
    pub layer: u32,
}

/// Writes row y of a layer's noise, in the output's units with its fractional bits.
// A frame of its own: the generator's need not grow by it.
#[inline(never)]
pub(crate) fn noise_row(input: NoiseInput<'_>, conv: &Conv, y: usize, out: &mut [i32]) {
    let NoiseInput { bytes, noise, layer } = input;
    let scaled = |v: i16, scale: Requant| scale.apply(v.into()).clamp(-MAX_OFFSET, MAX_OFFSET);
    match (noise, &conv.noise_map) {
        (Noise::Random(seed), _) if conv.noise.multiplier != 0 => match Scale::with_room(conv.noise, 16) {
            // 2^15 * 2^31 / 2^19 = MAX_OFFSET - 1: no limit is needed.
            (before, Scale::Upper { multiplier, shift, .. }) if conv.noise.shift >= 19 => {
                let half = (1 << shift) >> 1;
                let scaled = |v: i16| (upper((v as i32) << before, multiplier) + half) >> shift;
                latent::noise_row(seed, layer, y as u32, out, scaled);
            }
            _ => latent::noise_row(seed, layer, y as u32, out, |v| scaled(v, conv.noise)),
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
