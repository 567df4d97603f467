//! Turns accumulators into activations: requantise, add bias and noise, apply leaky ReLU, round and limit.

use crate::number::{FRACTION_BITS, MAX_I16, MAX_OFFSET, Requant, high_word, leaky_relu};

/// Reads one entry of a demodulation table: multiplier and shift.
#[inline]
pub(crate) fn requant(entry: [i32; 2]) -> Requant {
    let [multiplier, shift] = entry;
    Requant { multiplier, shift: shift as u8 }
}

/// Turns a requantised value into an activation: adds bias and noise, then applies leaky ReLU, rounding and the limit.
///
/// `value` has at most 29 bits besides its sign, and both offsets are at most 2^28, so the sum fits in `i32`.
#[inline]
pub fn activate(value: i32, bias: i32, noise: i32, limit: i16) -> i16 {
    let v = leaky_relu(value.clamp(-MAX_OFFSET, MAX_OFFSET - 1) + bias + noise);
    let rounded = (v + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    rounded.clamp(-(limit as i32), limit as i32) as i16
}

/// Limits a requantised value to the 16 bits of an intermediate row, -32767 ..= 32767.
#[inline]
pub fn limited(value: i32) -> i16 {
    value.clamp(-MAX_I16, MAX_I16) as i16
}

/// A requantisation prepared for many accumulators, for results that are limited to 29 bits or fewer.
///
/// With a shift above 32, the rounding term has no bit in the product's lower word, so the upper word alone gives
/// [`Requant::apply`]'s result. A smaller shift is raised by doubling the accumulator as many times. The doubling
/// saturates only where a multiplier of 2^30 or more takes the result beyond 29 bits anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequantPlan {
    /// Computes `(high_word(saturated(acc * 2^doublings) * multiplier) + half) >> shift`, where `half` is
    /// `2^(shift - 1)`.
    HighWord {
        /// Any value without doublings; with doublings, a magnitude of 2^30 or more.
        multiplier: i32,
        /// At most [`RequantPlan::MAX_DOUBLINGS`].
        doublings: u32,
        /// In 1 ..= 30.
        shift: u32,
    },
    /// Uses [`Requant::apply`], which takes any multiplier and shift.
    Exact(Requant),
}

impl RequantPlan {
    /// Largest number of doublings.
    pub const MAX_DOUBLINGS: u32 = 5;

    /// Plans for accumulators of any size.
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

    /// Plans for accumulators whose magnitude is below `2^(31 - room)`. Returns the exponent of the power of two that
    /// the caller multiplies accumulators by beforehand (at most `room`), and the plan for the products.
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

    /// Calls `each` with the function from accumulator to value. The plan is matched once, outside the caller's loop.
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

/// How the accumulators of a 3x3 convolution become activations.
#[derive(Debug, Clone, Copy)]
pub struct Activation<'a> {
    /// Multiplier and shift from an accumulator, `[outputs]`.
    pub requants: &'a [[i32; 2]],
    /// Biases, `[outputs]`, with the output's fractional bits; magnitudes are at most [`MAX_OFFSET`].
    pub biases: &'a [i32],
    /// Noise of the row, `[width]`, with the same unit and limit as the biases.
    pub noise: &'a [i32],
    /// Largest magnitude of an output.
    pub limit: i16,
}
