//! The noise that a layer adds to every channel of a pixel.

use crate::generator::Noise;
use crate::latent;
use crate::number::{MAX_OFFSET, Requant};
use crate::pack::layout::{Conv, WeightWidth};
use crate::pack::{array, i8_array};

/// Writes row y of a layer's noise, in the output's units with its fractional bits. `layer` counts the 3x3 convolutions.
pub(crate) fn noise_row(bytes: &[u8], conv: &Conv, noise: Noise, layer: u32, y: usize, out: &mut [i32]) {
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
