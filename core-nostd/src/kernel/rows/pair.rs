//! Makes convolution rows two output channels at a time and reads the weights where they lie in the pack. The one buffer
//! for accumulators holds a strip of both channels; a wider row is made strip by strip.

use super::work::Work;
use crate::kernel::finish::{Activation, RequantPlan, requant};
use crate::kernel::layout::{middle_len, pair_len};
use crate::kernel::selected;

/// Gives the same result as [`channel::conv3x3_row`](super::channel::conv3x3_row).
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
    let share = pair_len(inputs) / 3;
    let pairs = out.chunks_mut((2 * width).max(1)).zip(weights.chunks_exact(pair_len(inputs).max(1)));
    let channels = finish.requants.chunks(2).zip(finish.biases.chunks(2));
    for ((out, weights), (requants, biases)) in pairs.zip(channels) {
        let taps = weights.get(first * share..(first + present.len()) * share).unwrap_or_default();
        let mut start = 0;
        while let Some((a, b)) = strip(work.acc, width - start, 4) {
            let end = start + a.len();
            selected::correlate_pair(present, taps, width, start, [&mut *a, &mut *b]);
            let noise = finish.noise.get(start..end).unwrap_or_default();
            let accumulators = [&*a, &*b].into_iter().zip(requants).zip(biases);
            for (out, ((acc, &entry), &bias)) in out.chunks_exact_mut(width.max(1)).zip(accumulators) {
                let out = out.get_mut(start..end).unwrap_or_default();
                selected::activate_row(acc, noise, RequantPlan::new(requant(entry)), bias, finish.limit, out);
            }
            start = end;
        }
    }
}

/// Gives the same result as [`channel::transposed3x3_row`](super::channel::transposed3x3_row).
pub fn transposed3x3_row(
    rows: &[(&[i16], usize)],
    width: usize,
    inputs: usize,
    weights: &[i8],
    requants: &[[i32; 2]],
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let share = pair_len(inputs) / 3;
    let len = middle_len(width);
    let columns = 2 * width + 1;
    let pairs = out.chunks_mut(2 * len).zip(weights.chunks_exact(pair_len(inputs).max(1)));
    for ((out, weights), requants) in pairs.zip(requants.chunks(2)) {
        let mut sources = [(&[][..], &[][..]); 2];
        for (source, &(row, tap)) in sources.iter_mut().zip(rows) {
            *source = (row, weights.get(tap * share..(tap + 1) * share).unwrap_or_default());
        }
        let sources = sources.get(..rows.len()).unwrap_or_default();
        // Column -1 and the two after the last are 0.
        for out in out.chunks_exact_mut(len) {
            if let [first, .., before_last, last] = out {
                (*first, *before_last, *last) = (0, 0, 0);
            }
        }
        let mut start = 0;
        while let Some((a, b)) = strip(work.acc, columns - start, 8) {
            let end = start + a.len();
            selected::spread_pair(sources, width, start, [&mut *a, &mut *b]);
            for (out, (acc, &entry)) in out.chunks_exact_mut(len).zip([&*a, &*b].into_iter().zip(requants)) {
                let out = out.get_mut(start + 1..end + 1).unwrap_or_default();
                selected::requantise_row(acc, RequantPlan::new(requant(entry)), out);
            }
            start = end;
        }
    }
}

/// Takes the accumulators of both channels for the next strip of the `left` columns: for all of them if the buffer has
/// room, otherwise for a multiple of `step`. `None` at the row's end.
fn strip(acc: &mut [i32], left: usize, step: usize) -> Option<(&mut [i32], &mut [i32])> {
    let most = acc.len() / 2;
    let whole = most - most % step;
    let len = match (left <= most, whole) {
        (true, _) => left,
        // A buffer for less than a step belongs to rows of less than two.
        (false, 0) => most - most % 2,
        (false, whole) => whole,
    };
    if len == 0 { None } else { acc.get_mut(..2 * len)?.split_at_mut_checked(len) }
}
