//! Makes convolution rows one output channel at a time: first its weights are widened to 16 bits, then its accumulators
//! are made for the whole row.

use super::work::Work;
use crate::kernel::finish::{Activation, RequantPlan, requant};
use crate::kernel::layout::{middle_len, padded, pair_len};
use crate::kernel::selected;

/// Gives the same result as [`conv3x3_row`](super::conv3x3_row). `present` are the rows inside the image; the first of
/// them meets tap row `first`.
#[allow(clippy::too_many_arguments)]
pub fn conv3x3_row(
    present: &[&[i16]],
    first: usize,
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let share = 3 * padded(inputs);
    let (Some(acc), Some(all_taps)) = (work.acc.get_mut(..width), work.taps.get_mut(..3 * share)) else { return };
    let channels = out.chunks_exact_mut(width.max(1)).zip(finish.requants).zip(finish.biases);
    for (o, ((out, &entry), &bias)) in channels.enumerate() {
        let pair = weights.get(o / 2 * pair_len(inputs)..).and_then(|w| w.get(..pair_len(inputs)));
        selected::expand(pair.unwrap_or_default(), o % 2 == 1, all_taps);
        let taps = all_taps.get(first * share..(first + present.len()) * share).unwrap_or_default();
        selected::correlate(present, taps, acc);
        selected::activate_row(acc, finish.noise, RequantPlan::new(requant(entry)), bias, finish.limit, out);
    }
}

/// Gives the same result as [`transposed3x3_row`](super::transposed3x3_row). `rows` are the input rows inside the image,
/// each with its tap row.
pub fn transposed3x3_row(
    rows: &[(&[i16], usize)],
    width: usize,
    inputs: usize,
    weights: &[i8],
    requants: &[[i32; 2]],
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let share = 3 * padded(inputs);
    let len = middle_len(width);
    let (Some(acc), Some(all_taps)) = (work.acc.get_mut(..len), work.taps.get_mut(..3 * share)) else { return };
    acc.fill(0);
    for (o, (out, &entry)) in out.chunks_exact_mut(len).zip(requants).enumerate() {
        let pair = weights.get(o / 2 * pair_len(inputs)..).and_then(|w| w.get(..pair_len(inputs)));
        selected::expand(pair.unwrap_or_default(), o % 2 == 1, all_taps);
        let mut sources = [(&[][..], &[][..]); 2];
        for (source, &(row, tap)) in sources.iter_mut().zip(rows) {
            *source = (row, all_taps.get(tap * share..(tap + 1) * share).unwrap_or_default());
        }
        // Column -1 and the two after the last stay 0.
        let columns = acc.get_mut(1..2 * width + 2).unwrap_or_default();
        selected::spread(sources.get(..rows.len()).unwrap_or_default(), columns);
        selected::requantise_row(acc, RequantPlan::new(requant(entry)), out);
    }
}
