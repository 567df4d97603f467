//! Every kernel in plain Rust. A kernel that takes `Option<&[i16]>` rows treats `None` as a row of zeros. Accumulators are
//! `i32` without checks: their callers have the pack's proof ([`accumulator_fits`](crate::pack::verify::accumulator_fits)).

use super::finish::{Activation, Finish, Middle, Scale, activate, upper};
use super::layout::{padded, pair_len};
use crate::number::Requant;

/// `sum w x` for any values, up to 2^40 of them.
#[inline]
pub fn dot_i8_wide(weights: &[i8], x: &[i16]) -> i64 {
    // 256 * 2^7 * 2^15 = 2^30.
    let parts = weights.chunks(256).zip(x.chunks(256));
    parts.map(|(w, x)| w.iter().zip(x).map(|(&w, &x)| w as i32 * x as i32).sum::<i32>() as i64).sum()
}

/// `sum w x` for any values, up to 2^33 of them.
#[inline]
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    weights.iter().zip(x).map(|(&w, &x)| (w as i32 * x as i32) as i64).sum()
}

/// Modulates pixels: `out[x][i] = round(row[x][i] * styles[i] / 2^shift)`, for a shift in 15 .. 30 and magnitudes to 32767.
/// `out` has [`padded`] channels; a padded one becomes 0.
pub fn modulate(row: &[i16], styles: &[i16], shift: u8, out: &mut [i16]) {
    let channels = styles.len();
    if channels == 0 {
        return;
    }
    let half = (1i32 << shift) >> 1;
    for (to, from) in out.chunks_exact_mut(padded(channels)).zip(row.chunks_exact(channels)) {
        if channels % 2 == 1
            && let Some(last) = to.last_mut()
        {
            *last = 0;
        }
        for ((to, &x), &s) in to.iter_mut().zip(from).zip(styles) {
            *to = ((x as i32 * s as i32 + half) >> shift) as i16;
        }
    }
}

/// Two output channels' accumulators over pixels and taps that lie one after the other.
#[inline]
fn dot_pair(weights: &[i8], x: &[i16]) -> [i32; 2] {
    let mut acc = [0i32; 2];
    for (w, x) in weights.chunks_exact(4).zip(x.chunks_exact(2)) {
        if let (&[a0, b0, a1, b1], &[x0, x1]) = (w, x) {
            acc[0] += a0 as i32 * x0 as i32 + a1 as i32 * x1 as i32;
            acc[1] += b0 as i32 * x0 as i32 + b1 as i32 * x1 as i32;
        }
    }
    acc
}

/// One row of a 3x3 correlation with padding 1, into `out`, `[width][outputs]`. `rows` are the modulated rows above, at and
/// below; weights are in the pack's [`layout`](super::layout).
pub fn conv3x3_row(
    rows: [Option<&[i16]>; 3],
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    out: &mut [i16],
) {
    let channels = padded(inputs);
    let span = 3 * channels;
    if span == 0 {
        return;
    }
    for (pair, taps) in weights.chunks_exact(pair_len(inputs)).enumerate() {
        for x in 0..width {
            let mut acc = [0; 2];
            for (row, taps) in rows.into_iter().zip(taps.chunks_exact(2 * span)) {
                let window = row.and_then(|row| row.get(x * channels..x * channels + span)).unwrap_or_default();
                let sums = dot_pair(taps, window);
                acc = [acc[0] + sums[0], acc[1] + sums[1]];
            }
            for (half, acc) in acc.into_iter().enumerate() {
                finish.store(2 * pair + half, x, 1, core::iter::once(acc), out);
            }
        }
    }
}

/// Row `2 y + parity` of a stride-2 transposed 3x3 convolution, `T[2y + a][2x + b] += sum_i w[a][b][i] in[y][x][i]`, into
/// `out`, `[2 * width + 1][outputs]`.
///
/// With parity 0 the row gets tap row 2 from `above` (input row `y - 1`) and tap row 0 from `row` (input row y); with parity
/// 1 it gets tap row 1 from `row`, and `above` does not count. Inputs are modulated rows.
#[allow(clippy::too_many_arguments)]
pub fn transposed3x3_row(
    above: Option<&[i16]>,
    row: Option<&[i16]>,
    parity: usize,
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Middle<'_>,
    out: &mut [i16],
) {
    if inputs == 0 {
        return;
    }
    let channels = padded(inputs);
    let sources = if parity == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
    for (pair, taps) in weights.chunks_exact(pair_len(inputs)).enumerate() {
        for x in 0..=2 * width {
            // (position in the padded row, tap column): an even column sees pixels x/2 (tap 0) and x/2 - 1 (tap 2).
            let columns: &[(usize, usize)] = if x % 2 == 0 { &[(x / 2 + 1, 0), (x / 2, 2)] } else { &[(x / 2 + 1, 1)] };
            let mut acc = [0; 2];
            for &(source, a) in &sources {
                let Some(source) = source else { continue };
                for &(pixel, b) in columns {
                    let tap = 2 * (3 * a + b) * channels;
                    let taps = taps.get(tap..tap + 2 * channels).unwrap_or_default();
                    let pixel = source.get(pixel * channels..(pixel + 1) * channels).unwrap_or_default();
                    let sums = dot_pair(taps, pixel);
                    acc = [acc[0] + sums[0], acc[1] + sums[1]];
                }
            }
            for (half, acc) in acc.into_iter().enumerate() {
                finish.store(2 * pair + half, x, 1, core::iter::once(acc), out);
            }
        }
    }
}

/// `[1, 3, 3, 1]` down four rows of the intermediate image, `[2 * width + 1][channels]` each, and along the result, times
/// `fir`, then as in a convolution: an output row of `[2 * width][channels]`. `columns` is scratch for one row's entries and
/// a pixel on either side.
pub fn fir_row(rows: [Option<&[i16]>; 4], fir: Requant, finish: Activation<'_>, columns: &mut [i32], out: &mut [i16]) {
    let channels = finish.outputs();
    let Some(len) = columns.len().checked_sub(2 * channels).filter(|_| channels > 0) else { return };
    let (before, rest) = columns.split_at_mut(channels);
    let (inner, after) = rest.split_at_mut(len);
    before.fill(0);
    after.fill(0);
    match rows {
        [Some(a), Some(b), Some(c), Some(d)] => {
            for ((((to, &a), &b), &c), &d) in inner.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to = a as i32 + d as i32 + 3 * (b as i32 + c as i32);
            }
        }
        rows => {
            inner.fill(0);
            for (row, tap) in rows.into_iter().zip([1, 3, 3, 1]) {
                for (to, &v) in inner.iter_mut().zip(row.unwrap_or_default()) {
                    *to += tap * v as i32;
                }
            }
        }
    }
    // A sum is at most 64 * 32767, below 2^21.
    let scale = Scale::with_room(fir, 9);
    let pixels = out.chunks_exact_mut(channels).zip(finish.noise);
    for ((out, &noise), window) in pixels.zip(columns.windows(4 * channels).step_by(channels)) {
        let (a, rest) = window.split_at(channels);
        let (b, rest) = rest.split_at(channels);
        let (c, d) = rest.split_at(channels);
        let sums = a.iter().zip(b).zip(c).zip(d).map(|(((&a, &b), &c), &d)| a + d + 3 * (b + c));
        let places = out.iter_mut().zip(finish.biases).zip(sums);
        match scale {
            Scale::Upper { multiplier, before, half, shift } => places.for_each(|((out, &bias), sum)| {
                let value = (upper(sum << before, multiplier) + half) >> shift;
                *out = activate(value, bias, noise, finish.limit);
            }),
            Scale::Any(fir) => places.for_each(|((out, &bias), sum)| {
                *out = activate(fir.apply(sum), bias, noise, finish.limit);
            }),
        }
    }
}

/// Row y of an RGB image doubled by StyleGAN2's filter (up 2, pads 2 and 1, gain 4), rounded once: `out` is
/// `[2 * width][3]`. `near` is source row y/2, `far` the one above it for an even y and below it for an odd y.
pub fn upsample_rgb_row(near: &[i16], far: Option<&[i16]>, out: &mut [i32]) {
    let far = far.unwrap_or_default();
    let column = |index: Option<usize>| -> i32 {
        let at = |row: &[i16]| index.and_then(|i| row.get(i)).map_or(0, |&v| v as i32);
        3 * at(near) + at(far)
    };
    for (index, out) in out.iter_mut().enumerate() {
        let (x, c) = (index / 3, index % 3);
        let here = x / 2 * 3 + c;
        let beside = if x % 2 == 0 { here.checked_sub(3) } else { Some(here + 3) };
        *out = (3 * column(Some(here)) + column(beside) + 8) >> 4;
    }
}
