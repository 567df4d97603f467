//! From accumulators to activations: requantise, bias, noise, leaky ReLU, limit.

use crate::number::{FRACTION_BITS, MAX_I16, MAX_OFFSET, Requant, high_word, leaky_relu};

/// An entry of a demodulation table: multiplier and shift.
#[inline]
pub(crate) fn requant(entry: [i32; 2]) -> Requant {
    let [multiplier, shift] = entry;
    Requant { multiplier, shift: shift as u8 }
}

/// Bias, noise, leaky ReLU, rounding and limit: from a requantised value to an activation.
///
/// The value counts up to 29 bits, and both offsets are at most 2^28, so the sum fits.
#[inline]
pub fn activate(value: i32, bias: i32, noise: i32, limit: i16) -> i16 {
    let v = leaky_relu(value.clamp(-MAX_OFFSET, MAX_OFFSET - 1) + bias + noise);
    let rounded = (v + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    rounded.clamp(-(limit as i32), limit as i32) as i16
}

/// A value of an intermediate row.
#[inline]
pub fn limited(value: i32) -> i16 {
    value.clamp(-MAX_I16, MAX_I16) as i16
}

/// A requantisation prepared for many accumulators, for results that are limited to 29 bits or fewer.
///
/// With a shift above 32 the rounding term has no bit in the product's lower word, so the upper word alone gives
/// [`Requant::apply`]'s result. Where the shift lacks some bits, the accumulator is doubled as often; that saturates only
/// where a multiplier of 2^30 or more takes the result beyond 29 bits anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequantPlan {
    /// `((acc * 2^doublings, saturated) * multiplier >> 32) + half >> shift`, half being `2^(shift - 1)`.
    HighWord {
        /// Any value; with doublings, of a magnitude of 2^30 or more.
        multiplier: i32,
        /// At most [`RequantPlan::MAX_DOUBLINGS`].
        doublings: u32,
        /// In 1 ..= 30.
        shift: u32,
    },
    /// Anything.
    Exact(Requant),
}

impl RequantPlan {
    /// Most doublings.
    pub const MAX_DOUBLINGS: u32 = 5;

    /// For accumulators of any size.
    #[inline]
    pub fn new(requant: Requant) -> Self {
        let total = u32::from(requant.shift.min(Requant::MAX_SHIFT));
        let lack = 33u32.saturating_sub(total);
        let large = requant.multiplier.unsigned_abs() >= 1 << 30;
        if lack > 0 && (lack > Self::MAX_DOUBLINGS || !large) {
            return Self::Exact(requant);
        }
        Self::HighWord { multiplier: requant.multiplier, doublings: lack, shift: total + lack - 32 }
    }

    /// For accumulators whose magnitude is below `2^(31 - room)`: the power of two that they are to be multiplied by first, as
    /// much as the shift lacks, and what is left.
    #[inline]
    pub fn with_room(requant: Requant, room: u32) -> (u32, Self) {
        let total = u32::from(requant.shift.min(Requant::MAX_SHIFT));
        let before = 33u32.saturating_sub(total);
        if before > room {
            return (0, Self::Exact(requant));
        }
        let shift = total + before - 32;
        (before, Self::HighWord { multiplier: requant.multiplier, doublings: 0, shift })
    }

    /// Calls `each` with the function from accumulators to values; the choice between them is made once.
    #[inline(always)]
    pub(crate) fn apply(self, mut each: impl FnMut(&dyn Fn(i32) -> i32)) {
        match self {
            Self::HighWord { multiplier, doublings, shift } => {
                let half = (1 << shift) >> 1;
                each(&|acc| (high_word(acc.saturating_mul(1 << doublings), multiplier) + half) >> shift);
            }
            Self::Exact(requant) => each(&|acc| requant.apply(acc)),
        }
    }
}

/// What a 3x3 convolution's accumulators become.
#[derive(Debug, Clone, Copy)]
pub struct Activation<'a> {
    /// `[outputs]`: multiplier and shift from an accumulator.
    pub requants: &'a [[i32; 2]],
    /// `[outputs]`, with the output's fractional bits, magnitudes at most [`MAX_OFFSET`].
    pub biases: &'a [i32],
    /// `[width]`, likewise.
    pub noise: &'a [i32],
    /// Largest magnitude of an output.
    pub limit: i16,
}
