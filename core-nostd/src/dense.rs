//! Matrix-vector layers that read their weights in place: the mapping network, the styles, and toRGB at a pixel.

use crate::kernel::{self, RequantPlan};
use crate::number::{MAX_I16, Requant, saturate_i32, shift_round};
use crate::pack::arrays::{array, i8_array};
use crate::pack::layout::{Dense, WeightWidth};

/// A vector in block floating point: `mantissas[i] * 2^exponent`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockFloat<'a> {
    pub mantissas: &'a [i16],
    pub exponent: i32,
}

#[derive(Debug, Clone, Copy)]
enum Weights<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
}

/// A layer of the pack with views of its arrays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseView<'a> {
    weights: Weights<'a>,
    scales: &'a [u32],
    biases: &'a [i32],
    inputs: usize,
    shift: i32,
}

impl<'a> DenseView<'a> {
    pub fn new(bytes: &'a [u8], layer: &Dense) -> Self {
        let (inputs, outputs) = (usize::from(layer.inputs), usize::from(layer.outputs));
        let len = inputs * outputs;
        Self {
            weights: match layer.width {
                WeightWidth::I8 => Weights::I8(i8_array(bytes, layer.weights, len)),
                WeightWidth::I16 => Weights::I16(array(bytes, layer.weights, len)),
            },
            scales: array(bytes, layer.scales, outputs),
            biases: array(bytes, layer.biases, outputs),
            inputs,
            shift: layer.shift.into(),
        }
    }

    /// Dot product of row `o` and x, scaled, plus the bias.
    #[inline]
    fn row(&self, o: usize, x: BlockFloat<'_>) -> i32 {
        let range = o * self.inputs..(o + 1) * self.inputs;
        let sum = match self.weights {
            Weights::I8(w) => kernel::dot_i8_wide(w.get(range).unwrap_or_default(), x.mantissas),
            Weights::I16(w) => kernel::dot_i16(w.get(range).unwrap_or_default(), x.mantissas),
        };
        self.scaled(o, sum, x.exponent)
    }

    /// Scales the sum of row `o` and adds the bias.
    fn scaled(&self, o: usize, sum: i64, exponent: i32) -> i32 {
        let scale = self.scales.get(o).copied().unwrap_or_default() as i64;
        let bias = self.biases.get(o).copied().unwrap_or_default() as i64;
        // The sum has 41 bits and the scale 21, so the product fits in 64.
        let scaled = saturate_i32(shift_round(sum * scale, self.shift - exponent));
        saturate_i32(scaled as i64 + bias)
    }

    /// Computes the whole layer at x and writes it to `y`.
    pub fn apply(&self, x: BlockFloat<'_>, y: &mut [i32]) {
        for (o, y) in y.iter_mut().enumerate() {
            *y = self.row(o, x);
        }
    }

    /// Computes output `o` from mantissas that are not contiguous in memory.
    pub fn value(&self, o: usize, mantissas: impl Iterator<Item = i16>, exponent: i32) -> i32 {
        let at = o * self.inputs;
        let products = mantissas.zip(0..self.inputs).map(|(x, i)| {
            let w = match self.weights {
                Weights::I8(w) => w.get(at + i).map_or(0, |&w| w as i32),
                Weights::I16(w) => w.get(at + i).map_or(0, |&w| w as i32),
            };
            (w * x as i32) as i64
        });
        self.scaled(o, products.sum(), exponent)
    }

    /// Prepares row `o` for 32-bit accumulators. Writes the weights to `taps` and returns the scale and the bias that
    /// turn a sum into the result of [`Self::apply`] before its saturation. `None` if the sum or the scale could need
    /// more than 32 bits.
    pub fn narrow(&self, o: usize, exponent: i32, taps: &mut [i16]) -> Option<(RequantPlan, i32)> {
        let Weights::I8(weights) = self.weights else { return None };
        let weights = weights.get(o * self.inputs..(o + 1) * self.inputs)?;
        let mut largest = 0u32;
        taps.fill(0);
        for (to, &w) in taps.iter_mut().zip(weights) {
            *to = w.into();
            largest += u32::from(w.unsigned_abs());
        }
        // The limit is checked in 64 bits, because 2048 * 128 * 2^15 does not fit in 32.
        if u64::from(largest) * MAX_I16 as u64 > i32::MAX as u64 {
            return None;
        }
        // The multiplier, which is below 2^21, is raised as far as the shift allows, for precision.
        let shift = u32::try_from(self.shift.checked_sub(exponent)?).ok().filter(|shift| (1..=62).contains(shift))?;
        let up = (Requant::MAX_SHIFT as u32 - shift).min(10);
        let multiplier = (*self.scales.get(o)? as i32) << up;
        match RequantPlan::new(Requant { multiplier, shift: (shift + up) as u8 }) {
            scale @ RequantPlan::HighWord { doublings: 0, .. } => Some((scale, *self.biases.get(o)?)),
            _ => None,
        }
    }
}
