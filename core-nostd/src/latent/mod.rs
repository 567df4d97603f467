//! Latents and noise from a counter-based generator: element 5 of seed 7 is the same number on the host and on every
//! device, and is computed without the elements before it.
//!
//! The bits are those of Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! 2011). It uses additions, rotations and exclusive ors of 32-bit words, which are fast on a core without a wide
//! multiplier. The key is the seed; the counter is a position and a stream. The inverse of the normal distribution
//! function turns the bits into a normal variate. It is approximated by 32 octaves of the tail probability with 16
//! linear pieces each, out to 6.3 standard deviations.

use crate::kernel::threefry;

pub use crate::kernel::{quantile, quantile_table};

/// Stream of the latent z. Streams from 1 on are the noise of the synthesis layers.
const LATENT_STREAM: u32 = 0;

/// One of the two words of a counter block: that of `position`.
pub(crate) fn word(seed: u64, stream: u32, position: u32) -> u32 {
    let key = [seed as u32, (seed >> 32) as u32];
    let [even, odd] = threefry(key, [position >> 1, stream]);
    if position & 1 == 0 { even } else { odd }
}

/// Element `index` of the latent z of `seed`: Q12, so `value / 4096` is distributed as N(0, 1).
pub fn gaussian(seed: u64, index: u32) -> i16 {
    quantile(word(seed, LATENT_STREAM, index))
}

/// Noise of the synthesis layer `layer` (b4.conv1 is 0, b8.conv0 is 1, ...) at row `y` and column `x` for `seed`: Q12,
/// so `value / 4096` is distributed as N(0, 1). Rows and columns below 65536 never share a number.
pub fn noise(seed: u64, layer: u32, y: u32, x: u32) -> i16 {
    let position = (y << 16) | (x & 0xFFFF);
    quantile(word(seed, layer.wrapping_add(1), position))
}
