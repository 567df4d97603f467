//! Whole rows, made of the kernels that this processor has.

use super::finish::{Activation, RequantPlan, requant};
use super::layout::{middle_len, padded, pair_len, plane_len};
use super::selected;
use crate::number::Requant;

/// What a row is made in.
#[derive(Debug)]
pub struct Work<'w> {
    /// One output channel's weights as 16 bits: `9 * padded(inputs)`.
    pub taps: &'w mut [i16],
    /// One output channel's accumulators: the width, or [`middle_len`].
    pub acc: &'w mut [i32],
}

/// Modulates a feature row, `[channel][width]`, into `out`: `round(x * styles / 2^shift)`, for a shift in 15 .. 30.
pub fn modulate_row(row: &[i16], styles: &[i16], shift: u8, width: usize, out: &mut [i16]) {
    let channels = row.chunks(width.max(1)).zip(styles);
    let mut channels = channels.map(|(row, &style)| (row, style));
    for plane in out.chunks_exact_mut(plane_len(width)) {
        let Some((a, s0)) = channels.next() else { return };
        // A style of 0 makes zeros of anything.
        let (b, s1) = channels.next().unwrap_or((a, 0));
        if let Some((before, rest)) = plane.split_first_chunk_mut::<2>()
            && let Some((inner, after)) = rest.split_last_chunk_mut::<2>()
        {
            (*before, *after) = ([0; 2], [0; 2]);
            selected::modulate(a, b, [s0, s1], shift, inner);
        }
    }
}

/// One row of a 3x3 correlation with padding 1, into `out`, `[outputs][width]`. `rows` are the modulated rows above, at and
/// below, of which at least one is there; where there is none, it is one of zeros. Weights are in the pack's
/// [`layout`](super::layout).
pub fn conv3x3_row(
    rows: [Option<&[i16]>; 3],
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let share = 3 * padded(inputs);
    // The rows that are there lie one after the other, and so do their taps.
    let first = rows.iter().position(Option::is_some).unwrap_or_default();
    let mut present = [&[][..]; 3];
    let mut count = 0;
    for (to, row) in present.iter_mut().zip(rows.into_iter().flatten()) {
        *to = row;
        count += 1;
    }
    let (Some(present), Some(acc), Some(all_taps)) =
        (present.get(..count), work.acc.get_mut(..width), work.taps.get_mut(..3 * share))
    else {
        return;
    };
    let channels = out.chunks_exact_mut(width.max(1)).zip(finish.requants).zip(finish.biases);
    for (o, ((out, &entry), &bias)) in channels.enumerate() {
        let pair = weights.get(o / 2 * pair_len(inputs)..).and_then(|w| w.get(..pair_len(inputs)));
        selected::expand(pair.unwrap_or_default(), o % 2 == 1, all_taps);
        let taps = all_taps.get(first * share..(first + count) * share).unwrap_or_default();
        selected::correlate(present, taps, acc);
        selected::activate_row(acc, finish.noise, RequantPlan::new(requant(entry)), bias, finish.limit, out);
    }
}

/// Row `2 y + parity` of a stride-2 transposed 3x3 convolution, `T[2y + a][2x + b] += sum_i w[a][b][i] in[y][x][i]`: an
/// intermediate row of the `requants`' channels, into `out`.
///
/// With parity 0 the row gets tap row 2 from `above` (input row `y - 1`) and tap row 0 from `row` (input row y); with parity
/// 1 it gets tap row 1 from `row`, and `above` does not count. Inputs are modulated rows of `width` pixels.
#[allow(clippy::too_many_arguments)]
pub fn transposed3x3_row(
    above: Option<&[i16]>,
    row: Option<&[i16]>,
    parity: usize,
    width: usize,
    inputs: usize,
    weights: &[i8],
    requants: &[[i32; 2]],
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let share = 3 * padded(inputs);
    let len = middle_len(width);
    let rows = if parity == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
    let (Some(acc), Some(all_taps)) = (work.acc.get_mut(..len), work.taps.get_mut(..3 * share)) else { return };
    acc.fill(0);
    for (o, (out, &entry)) in out.chunks_exact_mut(len).zip(requants).enumerate() {
        let pair = weights.get(o / 2 * pair_len(inputs)..).and_then(|w| w.get(..pair_len(inputs)));
        selected::expand(pair.unwrap_or_default(), o % 2 == 1, all_taps);
        let mut sources = [(&[][..], &[][..]); 2];
        let mut count = 0;
        for &(row, tap) in &rows {
            if let (Some(row), Some(source)) = (row, sources.get_mut(count)) {
                *source = (row, all_taps.get(tap * share..(tap + 1) * share).unwrap_or_default());
                count += 1;
            }
        }
        // Column -1 and the two behind the last stay 0.
        let columns = acc.get_mut(1..2 * width + 2).unwrap_or_default();
        selected::spread(sources.get(..count).unwrap_or_default(), columns);
        selected::requantise_row(acc, RequantPlan::new(requant(entry)), out);
    }
}

/// `[1, 3, 3, 1]` down four intermediate rows and along the result, times `fir`, then as in a convolution: an output row of
/// `[channel][2 * width]`. A row that is not there is one of zeros.
pub fn fir_row(
    rows: [Option<&[i16]>; 4],
    width: usize,
    fir: Requant,
    finish: Activation<'_>,
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let len = middle_len(width);
    let Some(columns) = work.acc.get_mut(..len) else { return };
    // A sum is at most 64 * 32767, below 2^21.
    let (before, scale) = RequantPlan::with_room(fir, 9);
    for (o, (out, &bias)) in out.chunks_exact_mut((2 * width).max(1)).zip(finish.biases).enumerate() {
        let channel = |row: Option<_>| row.and_then(|row: &[i16]| row.get(o * len..)?.get(..len));
        selected::filter_down(rows.map(channel), before, columns);
        selected::filter_along(columns);
        let sums = columns.get(..2 * width).unwrap_or_default();
        selected::activate_row(sums, finish.noise, scale, bias, finish.limit, out);
    }
}
