//! Matrix-vector layers that read their weights in place: the mapping network, the styles, and toRGB at a pixel.

use crate::kernel;
use crate::number::{saturate_i32, shift_round};
use crate::pack::layout::{Dense, WeightWidth};
use crate::pack::{array, i8_array};

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

/// A layer of the pack with its arrays found.
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

    /// Row `o` times x, plus the bias.
    #[inline]
    fn row(&self, o: usize, x: BlockFloat<'_>) -> i32 {
        let range = o * self.inputs..(o + 1) * self.inputs;
        let sum = match self.weights {
            Weights::I8(w) => kernel::dot_i8_wide(w.get(range).unwrap_or_default(), x.mantissas),
            Weights::I16(w) => kernel::dot_i16(w.get(range).unwrap_or_default(), x.mantissas),
        };
        let scale = self.scales.get(o).copied().unwrap_or_default() as i64;
        let bias = self.biases.get(o).copied().unwrap_or_default() as i64;
        // 41 and 21 bits.
        let scaled = saturate_i32(shift_round(sum * scale, self.shift - x.exponent));
        saturate_i32(scaled as i64 + bias)
    }

    /// The layer at x, into `y`.
    pub fn apply(&self, x: BlockFloat<'_>, y: &mut [i32]) {
        for (o, y) in y.iter_mut().enumerate() {
            *y = self.row(o, x);
        }
    }
}
