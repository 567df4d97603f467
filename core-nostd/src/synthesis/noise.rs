//! The noise that a layer adds to every channel of a pixel.

use crate::generator::Noise;
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
pub(crate) fn noise_row(input: NoiseInput<'_>, conv: &Conv, y: usize, out: &mut [i32]) {
    let NoiseInput { bytes, noise, layer } = input;
    let scaled = |v: i16, scale: Requant| scale.apply(v.into()).clamp(-MAX_OFFSET, MAX_OFFSET);
    match (noise, &conv.noise_map) {
        (Noise::Random(seed), _) if conv.noise.multiplier != 0 => {
            for (x, out) in (0..).zip(out) {
                *out = scaled(latent::noise(seed, layer, y as u32, x), conv.noise);
            }
        }
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
