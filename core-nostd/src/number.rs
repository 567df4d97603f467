//! Integer arithmetic that every stage shares: rounding shifts, gains, reciprocal square roots, block floating point.
//!
//! Rounding is "half up" (`floor(v + 1/2)`) everywhere. Nothing here overflows or panics for any input.

use serde::{Deserialize, Serialize};

/// Fractional bits that a layer's output keeps until bias, noise and activation are applied.
pub const FRACTION_BITS: u32 = 8;

/// Largest magnitude of a feature map's entry, a style or a latent mantissa.
pub const MAX_I16: i32 = 32767;

/// Largest magnitude that [`Requant::apply`] returns: with a bias and noise of at most [`MAX_OFFSET`] each, sums stay in `i32`.
pub const MAX_REQUANTISED: i64 = (1 << 30) - 1;

/// Largest magnitude of a layer's bias and of its noise, in units of the output's `2^-FRACTION_BITS`.
pub const MAX_OFFSET: i32 = 1 << 28;

/// 0.2 as a fraction of 2^32: the negative slope of the leaky ReLU.
const SLOPE: i32 = 858_993_459;

/// `v / 2^shift`, rounded; a negative shift multiplies and saturates.
pub fn shift_round(v: i64, shift: i32) -> i64 {
    match shift {
        0 => v,
        1..=62 => {
            let floor = v >> shift;
            floor + ((v >> (shift - 1)) & 1)
        }
        63.. => 0,
        -62..=-1 => {
            let limit = i64::MAX >> -shift;
            v.clamp(-limit, limit) << -shift
        }
        _ => v.signum() * i64::MAX,
    }
}

/// The square root of `v`, rounded down, digit by digit. The standard library's is a little faster, with tables and a
/// division that take half a kilobyte of a board's flash more.
pub(crate) fn root(v: u64) -> u64 {
    let (mut rest, mut root) = (v, 0);
    let mut bit = 1u64 << 62;
    while bit != 0 {
        let step = root + bit;
        root >>= 1;
        if rest >= step {
            rest -= step;
            root += bit;
        }
        bit >>= 2;
    }
    root
}

/// `v` as `i32`, saturated to the symmetric range.
pub fn saturate_i32(v: i64) -> i32 {
    v.clamp(-(i32::MAX as i64), i32::MAX as i64) as i32
}

/// Leaky ReLU of slope 0.2. The gain of sqrt(2) is in the scales: the function is positively homogeneous.
pub fn leaky_relu(v: i32) -> i32 {
    // The highest bit of the product's lower word rounds.
    if v < 0 { high_word(v, SLOPE) + (v.wrapping_mul(SLOPE) as u32 >> 31) as i32 } else { v }
}

/// The upper word of a product.
#[inline(always)]
pub(crate) fn high_word(a: i32, b: i32) -> i32 {
    // On a core without such an instruction, the compiler would call a routine that multiplies 64 bits by 64.
    if cfg!(m0_kernels) { high_word_by_halves(a, b) } else { ((a as i64 * b as i64) >> 32) as i32 }
}

/// Like [`high_word`], computed from products of 16 bits and 16.
#[inline(always)]
pub(crate) fn high_word_by_halves(a: i32, b: i32) -> i32 {
    let [upper_a, upper_b] = [a >> 16, b >> 16];
    let [lower_a, lower_b] = [a & 0xffff, b & 0xffff];
    let lowest = (lower_a as u32 * lower_b as u32) >> 16;
    // A product of an upper and a lower half is at most 2^15 * (2^16 - 1): there is room for 16 bits more.
    let middle = upper_a * lower_b + lowest as i32;
    let other = lower_a * upper_b + (middle & 0xffff);
    upper_a * upper_b + (middle >> 16) + (other >> 16)
}

/// Multiplies an accumulator by a real number: `round(acc * multiplier / 2^shift)`, saturated to [`MAX_REQUANTISED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Requant {
    /// Any value; best precision when its magnitude is at least 2^30.
    pub multiplier: i32,
    /// At most [`Requant::MAX_SHIFT`].
    pub shift: u8,
}

impl Requant {
    /// Largest shift that [`Requant::apply`] accepts.
    pub const MAX_SHIFT: u8 = 62;

    /// The scaled accumulator. A larger shift than [`Requant::MAX_SHIFT`] is taken as [`Requant::MAX_SHIFT`].
    #[inline]
    pub fn apply(self, acc: i32) -> i32 {
        // |product| <= 2^62 and the rounding term <= 2^61: the sum fits.
        let shift = self.shift.min(Self::MAX_SHIFT);
        let product = acc as i64 * self.multiplier as i64;
        let rounded = (product + ((1i64 << shift) >> 1)) >> shift;
        rounded.clamp(-MAX_REQUANTISED, MAX_REQUANTISED) as i32
    }
}

/// A positive real number, `mantissa * 2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// The mantissa, in `2^30 .. 2^31`.
    pub mantissa: u32,
    /// The exponent of the power of two.
    pub exponent: i8,
}

impl Gain {
    /// True if the mantissa is in its range.
    pub fn is_normal(self) -> bool {
        (1 << 30..1 << 31).contains(&self.mantissa)
    }

    /// `self / sqrt(energy)` as a multiplier and shift; 0 for an energy of 0.
    ///
    /// The function computes demodulation factors: the energy is `sum (w * s)^2` in the integers that the convolution
    /// itself uses. StyleGAN2 adds 1e-8
    /// to the energy in its own units, where a layer's energy is of the order of 9 times its inputs; that term is below
    /// 2^-30 of the result and is left out. With an energy of 0 the convolution is 0, so its factor does not matter.
    pub fn over_sqrt(self, energy: u64) -> Requant {
        if energy == 0 || !self.is_normal() {
            return Requant::default();
        }
        // energy * 4^half is in 2^62 .. 2^64, its root in 2^31 .. 2^32.
        let half = energy.leading_zeros() / 2;
        let root = self::root(energy << (2 * half));
        let mut quotient = ((self.mantissa as u64) << 32) / root;
        let mut shift = 32 - self.exponent as i32 - half as i32;
        while quotient >= 1 << 31 {
            quotient = (quotient + 1) >> 1;
            shift -= 1;
        }
        if shift > Requant::MAX_SHIFT as i32 {
            // A factor below 2^-32: every accumulator rounds to 0.
            return Requant::default();
        }
        // A negative shift means a factor above 2^30: with shift 0 every accumulator but 0 still saturates.
        Requant { multiplier: quotient as i32, shift: shift.max(0) as u8 }
    }
}

/// Block floating point: writes `values / 2^k` as 15-bit mantissas and returns k, the least that fits (negative when the
/// values are small, so that the largest mantissa always uses all its bits). All zeros give k = 0.
///
/// `mantissas` and `values` have the same length; the shorter one counts.
pub fn normalise(values: &[i32], mantissas: &mut [i16]) -> i32 {
    let largest = values.iter().fold(0u32, |m, v| m.max(v.unsigned_abs()));
    if largest == 0 {
        mantissas.fill(0);
        return 0;
    }
    let k = 17 - largest.leading_zeros() as i32;
    for (m, &v) in mantissas.iter_mut().zip(values) {
        let scaled = shift_round(v as i64, k);
        *m = scaled.clamp(-(MAX_I16 as i64), MAX_I16 as i64) as i16;
    }
    k
}

#[cfg(test)]
mod tests {
    use super::{high_word_by_halves, root};
    use crate::kernel::threefry;

    #[test]
    fn a_root_is_the_standard_librarys() {
        let edges = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, (1 << bit) + 1]);
        let squares = [3u64, 65_535, 65_537, 0xffff_ffff].into_iter().flat_map(|n| [n * n - 1, n * n, n * n + 1]);
        let random = (0..10_000).map(|at| {
            let [low, high] = threefry([3, 4], [at, 0]);
            (u64::from(high) << 32 | u64::from(low)) >> (at % 64)
        });
        for v in edges.chain(squares).chain(random).chain([0, u64::MAX]) {
            assert_eq!(root(v), v.isqrt(), "{v}");
        }
    }

    #[test]
    fn the_upper_word_of_a_product_is_made_of_halves() {
        let extremes = [0, 1, -1, i32::MIN, i32::MAX, 0xffff, 0x1_0000, -0x1_0000, 0x7fff_0000, -0x7fff_ffff];
        let all = extremes.into_iter().flat_map(|a| extremes.map(|b| [a, b]));
        let random = (0..10_000).map(|at| threefry([1, 2], [at, 0]).map(|word| word as i32));
        for [a, b] in all.chain(random) {
            assert_eq!(high_word_by_halves(a, b), ((i64::from(a) * i64::from(b)) >> 32) as i32, "{a} {b}");
        }
    }
}
