//! Styles from w, and the demodulation factors that follow from them.

use crate::dense::{BlockFloat, DenseView};
use crate::kernel;
use crate::number::normalise;
use crate::pack::layout::{Conv, Dense};

/// The affine layer at w: writes the styles' mantissas and returns their exponent. The largest mantissa uses all 15 bits.
pub(crate) fn styles(bytes: &[u8], affine: &Dense, w: BlockFloat<'_>, values: &mut [i32], out: &mut [i16]) -> i32 {
    let values = &mut values[..out.len()];
    DenseView::new(bytes, affine).apply(w, values);
    normalise(values, out) - i32::from(affine.fraction)
}

/// Demodulation: for every output channel the multiplier and shift from accumulator to output, `gain / sqrt(energy)`.
pub(crate) fn demodulate(conv: &Conv, weights: &[i8], styles: &[i16], out: &mut [[i32; 2]]) {
    for (o, out) in out.iter_mut().enumerate() {
        let requant = conv.gain.over_sqrt(kernel::energy(weights, styles, o));
        *out = [requant.multiplier, requant.shift.into()];
    }
}
