//! Makes whole rows with the kernels of this processor.

pub mod channel;
pub mod pair;
mod work;

use super::finish::{Activation, RequantPlan};
use super::layout::{self, middle_len};
use super::selected;
use crate::number::Requant;

pub use work::Work;

/// Number of values in a modulated row, in this processor's layout.
pub const fn modulated_len(channels: usize, width: usize) -> usize {
    layout::modulated_len(channels, width, selected::LANES)
}

/// Index of a channel of pixel x, counted from 1, in this processor's layout of a modulated row
/// ([`layout::modulated_index`]).
pub const fn modulated_index(channels: usize, width: usize, x: usize, channel: usize) -> usize {
    layout::modulated_index(channels, width, selected::LANES, x, channel)
}

#[cfg(mve_kernels)]
pub use selected::modulate_row;

/// Modulates a feature row, `[channel][width]`, into `out`: `round(x * style / 2^shift)`, with `shift` in 15 ..= 30.
#[cfg(not(mve_kernels))]
pub fn modulate_row(row: &[i16], styles: &[i16], shift: u8, width: usize, out: &mut [i16]) {
    let channels = row.chunks(width.max(1)).zip(styles);
    let mut channels = channels.map(|(row, &style)| (row, style));
    for plane in out.chunks_exact_mut(layout::plane_len(width)) {
        let Some((a, s0)) = channels.next() else { return };
        // A style of 0 turns any value into zeros.
        let (b, s1) = channels.next().unwrap_or((a, 0));
        if let Some((before, rest)) = plane.split_first_chunk_mut::<2>()
            && let Some((inner, after)) = rest.split_last_chunk_mut::<2>()
        {
            (*before, *after) = ([0; 2], [0; 2]);
            selected::modulate(a, b, [s0, s1], shift, inner);
        }
    }
}

/// Makes one row of a 3x3 correlation with padding 1 and writes it to `out`, `[outputs][width]`. `rows` are the
/// modulated rows above, at and below it, at least one of them present; an absent row counts as zeros. Weights are in
/// the pack's [`layout`].
pub fn conv3x3_row(
    rows: [Option<&[i16]>; 3],
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    // The present rows are consecutive, and so are their taps.
    let first = rows.iter().position(Option::is_some).unwrap_or_default();
    let mut present = [&[][..]; 3];
    let mut count = 0;
    for (to, row) in present.iter_mut().zip(rows.into_iter().flatten()) {
        *to = row;
        count += 1;
    }
    let present = present.get(..count).unwrap_or_default();
    #[cfg(mve_kernels)]
    selected::conv3x3_row(present, first, width, inputs, weights, finish, work, out);
    #[cfg(not(mve_kernels))]
    if selected::TWO_OUTPUTS {
        pair::conv3x3_row(present, first, width, inputs, weights, finish, work, out);
    } else {
        channel::conv3x3_row(present, first, width, inputs, weights, finish, work, out);
    }
}

/// Makes row `2 y + parity` of a stride-2 transposed 3x3 convolution,
/// `T[2y + a][2x + b] += sum_i w[a][b][i] in[y][x][i]`. `out` is an intermediate row with one channel for each entry of
/// `requants`.
///
/// With parity 0 the row gets tap row 2 from `above` (input row `y - 1`) and tap row 0 from `row` (input row y); with
/// parity 1 it gets tap row 1 from `row`, and `above` is ignored. Inputs are modulated rows of `width` pixels.
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
    let rows = if parity == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
    let mut present = [(&[][..], 0); 2];
    let mut count = 0;
    for (to, (row, tap)) in present.iter_mut().zip(rows.into_iter().filter_map(|(row, tap)| Some((row?, tap)))) {
        *to = (row, tap);
        count += 1;
    }
    let present = present.get(..count).unwrap_or_default();
    #[cfg(mve_kernels)]
    selected::transposed3x3_row(present, width, inputs, weights, requants, work, out);
    #[cfg(not(mve_kernels))]
    if selected::TWO_OUTPUTS {
        pair::transposed3x3_row(present, width, inputs, weights, requants, work, out);
    } else {
        channel::transposed3x3_row(present, width, inputs, weights, requants, work, out);
    }
}

/// Filters four intermediate rows with `[1, 3, 3, 1]` vertically and horizontally, scales by `fir`, then activates as in
/// a convolution. The output row is `[channel][2 * width]`; an absent row counts as zeros.
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
