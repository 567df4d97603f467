//! From accumulators to activations: requantise, bias, noise, leaky ReLU, limit.

use crate::number::{FRACTION_BITS, MAX_I16, Requant, leaky_relu};

/// An entry of a demodulation table: multiplier and shift.
#[inline]
pub(crate) fn requant(entry: [i32; 2]) -> Requant {
    let [multiplier, shift] = entry;
    Requant { multiplier, shift: shift as u8 }
}

/// Bias, noise, leaky ReLU, rounding and limit: from a requantised value to an activation.
///
/// The value is below 2^30 and both offsets at most 2^28, so the sum fits.
#[inline]
pub fn activate(value: i32, bias: i32, noise: i32, limit: i16) -> i16 {
    let v = leaky_relu(value + bias + noise);
    let rounded = (v + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    rounded.clamp(-(limit as i32), limit as i32) as i16
}

/// A requantisation prepared for many accumulators.
///
/// With a shift above 32 the rounding term has no bit in the product's lower word, so the upper word alone gives
/// [`Requant::apply`]'s result, and one below 2^30 that needs no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scale {
    /// `((acc << before) * multiplier >> 32) + half >> shift`.
    Upper { multiplier: i32, before: u32, half: i32, shift: u32 },
    /// Anything.
    Any(Requant),
}

impl Scale {
    /// For accumulators of any size.
    #[inline]
    pub fn new(requant: Requant) -> Self {
        Self::with_room(requant, 0)
    }

    /// For accumulators whose magnitude is below `2^(31 - room)`: they are shifted up by as much as the shift lacks.
    #[inline]
    pub fn with_room(requant: Requant, room: u32) -> Self {
        let total = u32::from(requant.shift.min(Requant::MAX_SHIFT));
        let before = 33u32.saturating_sub(total);
        if before > room {
            return Self::Any(requant);
        }
        let shift = total + before - 32;
        Self::Upper { multiplier: requant.multiplier, before, half: 1 << (shift - 1), shift }
    }
}

/// The upper word of a product.
#[inline(always)]
pub(crate) fn upper(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64) >> 32) as i32
}

/// What a 3x3 convolution's accumulators become: activations.
#[derive(Debug, Clone, Copy)]
pub struct Activation<'a> {
    /// `[outputs]`: multiplier and shift from an accumulator.
    pub requants: &'a [[i32; 2]],
    /// `[outputs]`, with the output's fractional bits, magnitudes at most [`MAX_OFFSET`](crate::number::MAX_OFFSET).
    pub biases: &'a [i32],
    /// `[width]`, likewise.
    pub noise: &'a [i32],
    /// Largest magnitude of an output.
    pub limit: i16,
}

/// What a transposed convolution's accumulators become: 16-bit values of the intermediate image.
#[derive(Debug, Clone, Copy)]
pub struct Middle<'a> {
    /// `[outputs]`: multiplier and shift from an accumulator.
    pub requants: &'a [[i32; 2]],
}

/// One output channel's way from an accumulator to what is stored.
pub(crate) trait Finish: Copy {
    /// Output channels.
    fn outputs(&self) -> usize;
    /// The accumulators of pixels `x, x + step, ...`, channel `o`, into a row of `[x][outputs]`.
    fn store(&self, o: usize, x: usize, step: usize, acc: impl Iterator<Item = i32>, out: &mut [i16]);
}

impl Finish for Activation<'_> {
    #[inline(always)]
    fn outputs(&self) -> usize {
        self.requants.len()
    }

    #[inline(always)]
    fn store(&self, o: usize, x: usize, step: usize, acc: impl Iterator<Item = i32>, out: &mut [i16]) {
        let outputs = self.outputs();
        let (Some(&entry), Some(&bias)) = (self.requants.get(o), self.biases.get(o)) else { return };
        let places = out.get_mut(x * outputs + o..).unwrap_or_default().iter_mut().step_by(step * outputs);
        let noise = self.noise.get(x..).unwrap_or_default().iter().step_by(step);
        let values = places.zip(noise).zip(acc);
        match Scale::new(requant(entry)) {
            Scale::Upper { multiplier, half, shift, .. } => {
                for ((out, &noise), acc) in values {
                    let value = (upper(acc, multiplier) + half) >> shift;
                    *out = activate(value, bias, noise, self.limit);
                }
            }
            Scale::Any(requant) => {
                for ((out, &noise), acc) in values {
                    *out = activate(requant.apply(acc), bias, noise, self.limit);
                }
            }
        }
    }
}

impl Finish for Middle<'_> {
    #[inline(always)]
    fn outputs(&self) -> usize {
        self.requants.len()
    }

    #[inline(always)]
    fn store(&self, o: usize, x: usize, step: usize, acc: impl Iterator<Item = i32>, out: &mut [i16]) {
        let outputs = self.outputs();
        let Some(&entry) = self.requants.get(o) else { return };
        let places = out.get_mut(x * outputs + o..).unwrap_or_default().iter_mut().step_by(step * outputs);
        let limited = |value: i32| value.clamp(-MAX_I16, MAX_I16) as i16;
        match Scale::new(requant(entry)) {
            Scale::Upper { multiplier, half, shift, .. } => {
                places.zip(acc).for_each(|(out, acc)| *out = limited((upper(acc, multiplier) + half) >> shift));
            }
            Scale::Any(requant) => places.zip(acc).for_each(|(out, acc)| *out = limited(requant.apply(acc))),
        }
    }
}
