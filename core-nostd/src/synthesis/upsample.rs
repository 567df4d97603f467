//! The modulated 3x3 convolution that doubles the resolution: a stride-2 transposed convolution by output phases, then the
//! separable filter `[1, 3, 3, 1]`.

use crate::kernel::{self, Activation, Middle, padded};
use crate::number::Requant;
use crate::synthesis::conv::Layer;

/// Two modulated input rows, four rows of the transposed convolution, and one filtered row.
pub(crate) struct UpsampleRows<'a, 'w> {
    layer: Layer<'a>,
    fir: Requant,
    inputs: &'w mut [i16],
    middle: &'w mut [i16],
    filtered: &'w mut [i32],
}

/// Scratch lengths: two padded input rows, four intermediate rows, and a filtered row with its borders.
pub(crate) fn scratch(width: usize, inputs: usize, outputs: usize) -> [usize; 3] {
    [2 * (width + 2) * padded(inputs), 4 * (2 * width + 1) * outputs, (2 * width + 3) * outputs]
}

impl<'a, 'w> UpsampleRows<'a, 'w> {
    /// The buffers have the lengths of [`scratch`].
    pub fn new(
        layer: Layer<'a>,
        fir: Requant,
        inputs: &'w mut [i16],
        middle: &'w mut [i16],
        filtered: &'w mut [i32],
    ) -> Self {
        inputs.fill(0);
        filtered.fill(0);
        Self { layer, fir, inputs, middle, filtered }
    }

    /// Takes input row y; rows come in order from 0.
    pub fn take(&mut self, y: usize, row: &[i16]) {
        let len = self.layer.padded_row();
        self.layer.modulate_into(row, &mut self.inputs[y % 2 * len..][..len]);
    }

    /// Computes row `t` (0 ..= 2 * width) of the transposed convolution: after input row `t / 2` has been taken. Rows are
    /// computed in order; the last four are kept.
    pub fn transpose(&mut self, t: usize) {
        let Layer { width, inputs, outputs, weights, requants, .. } = self.layer;
        let len = self.layer.padded_row();
        let input = |y: Option<usize>| y.filter(|&y| y < width).map(|y| &self.inputs[y % 2 * len..][..len]);
        let (above, row) = (input((t / 2).checked_sub(1)), input(Some(t / 2)));
        let middle_len = (2 * width + 1) * outputs;
        let middle = &mut self.middle[t % 4 * middle_len..][..middle_len];
        kernel::transposed3x3_row(above, row, t % 2, width, inputs, weights, Middle { requants }, middle);
    }

    /// Gives output row y, `[2 * width][outputs]`: after intermediate row `y + 2` has been computed, or the last one, and
    /// before row `y + 3`.
    pub fn give(&mut self, y: usize, noise: &[i32], out: &mut [i16]) {
        let Layer { width, outputs, requants, biases, limit, .. } = self.layer;
        let len = (2 * width + 1) * outputs;
        let row = |t: Option<usize>| t.filter(|&t| t <= 2 * width).map(|t| &self.middle[t % 4 * len..][..len]);
        let rows = [row(y.checked_sub(1)), row(Some(y)), row(Some(y + 1)), row(Some(y + 2))];
        let finish = Activation { requants, biases, noise, limit };
        kernel::fir_row(rows, self.fir, finish, self.filtered, out);
    }
}
