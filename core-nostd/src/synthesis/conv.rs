//! The modulated 3x3 convolution at one resolution, row by row.

use crate::kernel::{self, Activation, Work, modulated_len};
use crate::pack::layout::Conv;
use crate::pack::plan::CONV_ROWS;
use crate::synthesis::noise::{NoiseInput, noise_row};
use crate::synthesis::workspace::Scratch;

/// A convolution layer prepared for one sample's w.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    /// Width of the input rows.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The layer's weights, in the pack's layout ([`kernel::layout`]).
    pub weights: &'a [i8],
    /// Biases, `[outputs]`.
    pub biases: &'a [i32],
    /// Styles, `[inputs]`.
    pub styles: &'a [i16],
    /// Multiplier and shift from an accumulator, `[outputs]`.
    pub requants: &'a [[i32; 2]],
    /// Right shift of a modulated activation.
    pub modulation_shift: u8,
    /// Largest magnitude of an output.
    pub limit: i16,
}

impl Layer<'_> {
    /// Number of values in a modulated row.
    pub fn modulated_row(&self) -> usize {
        modulated_len(self.inputs, self.width)
    }

    /// Modulates an input row, including its borders.
    pub fn modulate_into(&self, row: &[i16], into: &mut [i16]) {
        kernel::modulate_row(row, self.styles, self.modulation_shift, self.width, into);
    }
}

/// The last two modulated rows. The third row of the kernel is the one being computed.
pub(crate) struct ConvRows<'a, 'w> {
    layer: Layer<'a>,
    conv: &'a Conv,
    ring: &'w mut [i16],
}

impl<'a, 'w> ConvRows<'a, 'w> {
    /// A convolution before its first row. `ring` has the length that the plan gives it.
    pub fn new(layer: Layer<'a>, conv: &'a Conv, ring: &'w mut [i16]) -> Self {
        Self { layer, conv, ring }
    }

    /// Takes input row y from the scratch's `row` and leaves output row `y - 1` there. Rows come in order from 0. When y
    /// is the height there is no input row, only the last output. Returns the output row's number, if there is one.
    pub fn step(&mut self, y: usize, noise: NoiseInput<'_>, scratch: &mut Scratch<'_>) -> Option<usize> {
        let Layer { width, inputs, outputs, weights, biases, requants, limit, .. } = self.layer;
        let len = self.layer.modulated_row();
        // The image is square, so there are `width` rows.
        let fresh = if y < width {
            let fresh = &mut scratch.fresh[..len];
            self.layer.modulate_into(&scratch.row[..width * inputs], fresh);
            Some(&*fresh)
        } else {
            None
        };
        let done = y.checked_sub(1);
        if let Some(y) = done {
            let kept = |y: Option<usize>| y.map(|y| &self.ring[y % CONV_ROWS * len..][..len]);
            let rows = [kept(y.checked_sub(1)), kept(Some(y)), fresh];
            let values = &mut scratch.noise[..width];
            noise_row(noise, self.conv, y, values);
            let finish = Activation { requants, biases, noise: values, limit };
            let mut work = Work { taps: scratch.taps, acc: scratch.acc };
            kernel::conv3x3_row(rows, width, inputs, weights, finish, &mut work, &mut scratch.row[..width * outputs]);
        }
        if let Some(fresh) = fresh {
            kernel::copy_row(fresh, &mut self.ring[y % CONV_ROWS * len..][..len]);
        }
        done
    }
}
