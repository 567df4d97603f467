//! The modulated 3x3 convolution at one resolution, row by row.

use crate::kernel::{self, Activation, padded};

/// What a sample's w makes of a convolution layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    /// Width of the input rows.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// In the pack's layout ([`kernel::layout`]).
    pub weights: &'a [i8],
    /// `[outputs]`.
    pub biases: &'a [i32],
    /// `[inputs]`.
    pub styles: &'a [i16],
    /// `[outputs]`: multiplier and shift from an accumulator.
    pub requants: &'a [[i32; 2]],
    /// Right shift of a modulated activation.
    pub modulation_shift: u8,
    /// Largest magnitude of an output.
    pub limit: i16,
}

impl Layer<'_> {
    /// Values in a padded input row.
    pub fn padded_row(&self) -> usize {
        (self.width + 2) * padded(self.inputs)
    }

    /// Modulates an input row into a padded row whose borders are already 0.
    pub fn modulate_into(&self, row: &[i16], into: &mut [i16]) {
        let inner = into.get_mut(padded(self.inputs)..).unwrap_or_default();
        let inner = inner.get_mut(..self.width * padded(self.inputs)).unwrap_or_default();
        kernel::modulate(row, self.styles, self.modulation_shift, inner);
    }
}

/// Three modulated rows around the one that comes next.
pub(crate) struct ConvRows<'a, 'w> {
    layer: Layer<'a>,
    ring: &'w mut [i16],
}

impl<'a, 'w> ConvRows<'a, 'w> {
    /// `ring` holds three padded rows.
    pub fn new(layer: Layer<'a>, ring: &'w mut [i16]) -> Self {
        ring.fill(0);
        Self { layer, ring }
    }

    /// Takes input row y; rows come in order from 0.
    pub fn take(&mut self, y: usize, row: &[i16]) {
        let len = self.layer.padded_row();
        self.layer.modulate_into(row, &mut self.ring[y % 3 * len..][..len]);
    }

    /// Gives output row y, `[width][outputs]`: after input row `y + 1` has been taken, or the last one.
    pub fn give(&self, y: usize, noise: &[i32], out: &mut [i16]) {
        let Layer { width, inputs, weights, biases, requants, limit, .. } = self.layer;
        let len = self.layer.padded_row();
        // The input is square: width rows.
        let row = |y: Option<usize>| y.filter(|&y| y < width).map(|y| &self.ring[y % 3 * len..][..len]);
        let rows = [row(y.checked_sub(1)), row(Some(y)), row(Some(y + 1))];
        let finish = Activation { requants, biases, noise, limit };
        kernel::conv3x3_row(rows, width, inputs, weights, finish, out);
    }
}
