//! The modulated 3x3 convolution that doubles the resolution: a stride-2 transposed convolution by output phases, then the
//! separable filter `[1, 3, 3, 1]`.

use crate::kernel::{self, Activation, Work, middle_len};
use crate::number::Requant;
use crate::pack::layout::Conv;
use crate::pack::plan::{INPUT_ROWS, MIDDLE_ROWS};
use crate::synthesis::conv::Layer;
use crate::synthesis::noise::{NoiseInput, noise_row};
use crate::synthesis::workspace::Scratch;

/// The outcome of a step of [`UpsampleRows`].
pub(crate) enum Doubled {
    /// Another input row is needed first.
    NeedsInput,
    /// An intermediate row was made, and it completed no output row.
    Nothing,
    /// Output row y lies in the scratch's `row`. If y is the height, there are no more rows.
    Row(usize),
}

/// The last two modulated input rows and the last three rows of the transposed convolution. The filter's fourth row is
/// the one being computed.
pub(crate) struct UpsampleRows<'a, 'w> {
    layer: Layer<'a>,
    conv: &'a Conv,
    fir: Requant,
    inputs: &'w mut [i16],
    middle: &'w mut [i16],
    /// Number of input rows taken.
    taken: usize,
    /// Index of the next intermediate row.
    next: usize,
}

impl<'a, 'w> UpsampleRows<'a, 'w> {
    /// The convolution before its first row. `inputs` and `middle` have the lengths that the plan gives them.
    pub fn new(layer: Layer<'a>, conv: &'a Conv, inputs: &'w mut [i16], middle: &'w mut [i16]) -> Self {
        Self { layer, conv, fir: conv.fir.unwrap_or_default(), inputs, middle, taken: 0, next: 0 }
    }

    /// Takes the next input row, `[width][inputs]`.
    pub fn take(&mut self, row: &[i16]) {
        let len = self.layer.modulated_row();
        self.layer.modulate_into(row, &mut self.inputs[self.taken % INPUT_ROWS * len..][..len]);
        self.taken += 1;
    }

    /// Computes the next intermediate row, t, from input row `t / 2` and the one above, and output row `t - 2`, which it
    /// completes. After the last intermediate row (`2 * width`) one more output row remains, whose last tap meets a row
    /// of zeros.
    pub fn step(&mut self, noise: NoiseInput<'_>, scratch: &mut Scratch<'_>) -> Doubled {
        let Layer { width, inputs, outputs, weights, requants, biases, limit, .. } = self.layer;
        let t = self.next;
        if t / 2 < width && t / 2 >= self.taken {
            return Doubled::NeedsInput;
        }
        self.next += 1;
        if t > 2 * width + 1 {
            return Doubled::Row(2 * width);
        }
        let len = middle_len(width) * outputs;
        let fresh = if t <= 2 * width {
            let modulated = self.layer.modulated_row();
            let input = |y: Option<usize>| {
                y.filter(|&y| y < width).map(|y| &self.inputs[y % INPUT_ROWS * modulated..][..modulated])
            };
            let (above, row) = (input((t / 2).checked_sub(1)), input(Some(t / 2)));
            let fresh = &mut scratch.fresh[..len];
            let mut work = Work { taps: scratch.taps, acc: scratch.acc };
            kernel::transposed3x3_row(above, row, t % 2, width, inputs, weights, requants, &mut work, fresh);
            Some(&*fresh)
        } else {
            None
        };
        let done = t.checked_sub(2);
        if let Some(y) = done {
            let kept = |t: Option<usize>| t.map(|t| &self.middle[t % MIDDLE_ROWS * len..][..len]);
            let rows = [kept(y.checked_sub(1)), kept(Some(y)), kept(Some(y + 1)), fresh];
            let values = &mut scratch.noise[..2 * width];
            noise_row(noise, self.conv, y, values);
            let finish = Activation { requants, biases, noise: values, limit };
            let mut work = Work { taps: scratch.taps, acc: scratch.acc };
            kernel::fir_row(rows, width, self.fir, finish, &mut work, &mut scratch.row[..2 * width * outputs]);
        }
        if let Some(fresh) = fresh {
            kernel::copy_row(fresh, &mut self.middle[t % MIDDLE_ROWS * len..][..len]);
        }
        done.map_or(Doubled::Nothing, Doubled::Row)
    }
}
