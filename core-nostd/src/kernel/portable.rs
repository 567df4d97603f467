//! Every kernel in plain Rust. Accumulators are `i32` without overflow checks, because the pack was proven not to
//! overflow
//! ([`accumulator_fits`](crate::pack::verify::accumulator_fits)).

use super::finish::{RequantPlan, activate, limited};
use super::layout::plane_len;
use super::quantile::quantile;
use super::threefry::threefry;
use crate::number::high_word;

/// True if rows are made two output channels at a time, by [`correlate_pair`] and [`spread_pair`]. False if they are
/// made one channel at a time, by [`expand`], [`correlate`] and [`spread`].
pub const TWO_OUTPUTS: bool = false;

/// Channels of a pixel that a modulated row keeps together.
pub const LANES: usize = 2;

/// Number of rows of accumulators in the workspace.
pub const ACCUMULATORS: usize = 1;

/// Dot product, `sum w x`, for any values and up to 2^40 of them.
#[inline]
pub fn dot_i8_wide(weights: &[i8], x: &[i16]) -> i64 {
    // 256 * 2^7 * 2^15 = 2^30.
    let parts = weights.chunks(256).zip(x.chunks(256));
    parts.map(|(w, x)| w.iter().zip(x).map(|(&w, &x)| w as i32 * x as i32).sum::<i32>() as i64).sum()
}

/// Dot product, `sum w x`, for any values and up to 2^33 of them.
#[inline]
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    weights.iter().zip(x).map(|(&w, &x)| (w as i32 * x as i32) as i64).sum()
}

/// Copies a row of values.
pub fn copy_row(from: &[i16], to: &mut [i16]) {
    to.copy_from_slice(from);
}

/// Turns random words into normal variates ([`quantile`], Q12), multiplies them by
/// `multiplier / 2^(32 + shift - before)` and rounds. `shift` is at least 1; variates have 16 bits, so `before` is at
/// most 16.
pub fn normal_row(words: &mut [i32], before: u32, multiplier: i32, shift: u32) {
    let half = (1 << shift) >> 1;
    for word in words {
        *word = (high_word(i32::from(quantile(*word as u32)) << before, multiplier) + half) >> shift;
    }
}

/// Writes blocks of the counter-based generator, for consecutive positions from `first` on.
pub fn random_row(key: [u32; 2], stream: u32, first: u32, out: &mut [[u32; 2]]) {
    for (position, out) in (first..).zip(out) {
        *out = threefry(key, [position, stream]);
    }
}

/// Widens one channel of an output pair to 16 bits: every second weight of the pack's order, starting with the first
/// one, or with the second if `odd`.
pub fn expand(weights: &[i8], odd: bool, taps: &mut [i16]) {
    for (to, &w) in taps.iter_mut().zip(weights.iter().skip(odd.into()).step_by(2)) {
        *to = w.into();
    }
}

/// Modulates a pair of channels: `out[x] = [round(a[x] * styles[0] / 2^shift), round(b[x] * styles[1] / 2^shift)]`, for a
/// shift in 15 .. 30 and magnitudes to 32767.
pub fn modulate(a: &[i16], b: &[i16], styles: [i16; 2], shift: u8, out: &mut [i16]) {
    let half = (1i32 << shift) >> 1;
    let [s0, s1] = styles.map(i32::from);
    for ((to, &a), &b) in out.as_chunks_mut::<2>().0.iter_mut().zip(a).zip(b) {
        *to = [((a as i32 * s0 + half) >> shift) as i16, ((b as i32 * s1 + half) >> shift) as i16];
    }
}

/// `acc[x] = sum over rows, pairs and columns k of taps * row[x + k]`: one output channel of a 3x3 correlation. Rows are
/// modulated; taps are `[row][pair][3][2]`.
pub fn correlate(rows: &[&[i16]], taps: &[i16], acc: &mut [i32]) {
    acc.fill(0);
    let plane = plane_len(acc.len());
    let share = taps.len() / rows.len().max(1);
    for (row, taps) in rows.iter().zip(taps.chunks_exact(share.max(1))) {
        for (plane, taps) in row.chunks_exact(plane).zip(taps.as_chunks::<6>().0) {
            let taps = taps.map(i32::from);
            for (acc, x) in acc.iter_mut().zip(plane.windows(6).step_by(2)) {
                *acc += taps.iter().zip(x).map(|(&w, &x)| w * x as i32).sum::<i32>();
            }
        }
    }
}

/// Two output channels of a 3x3 correlation at columns `first ..` of a row:
/// `acc[o][x] = sum over rows, pairs, columns k and channels i of weights * row[first + x + k]`.
///
/// Rows are modulated, of `width` pixels; weights are as a pack has them, `[row][pair][3][i][o]`. Both accumulators have
/// one length, and `first` plus that is at most the width.
pub fn correlate_pair(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    let [a, b] = acc;
    a.fill(0);
    b.fill(0);
    let share = weights.len() / rows.len().max(1);
    for (row, weights) in rows.iter().zip(weights.chunks_exact(share.max(1))) {
        for (plane, taps) in row.chunks_exact(plane_len(width)).zip(weights.as_chunks::<12>().0) {
            let taps = taps.map(i32::from);
            let windows = plane.windows(6).step_by(2).skip(first);
            for ((a, b), x) in a.iter_mut().zip(b.iter_mut()).zip(windows) {
                for (&x, &[wa, wb]) in x.iter().zip(taps.as_chunks::<2>().0) {
                    *a += wa * x as i32;
                    *b += wb * x as i32;
                }
            }
        }
    }
}

/// One output channel of a row of a stride-2 transposed 3x3 convolution: every source, a modulated row of `width` pixels and
/// its taps `[pair][3][2]`, adds tap b of pixel x to `acc[2 x + b]`. `acc` has `2 * width + 1` columns.
pub fn spread(sources: &[(&[i16], &[i16])], acc: &mut [i32]) {
    acc.fill(0);
    let width = acc.len() / 2;
    for (row, taps) in sources {
        for (plane, taps) in row.chunks_exact(plane_len(width)).zip(taps.as_chunks::<6>().0) {
            let taps = taps.map(i32::from);
            for (x, &[x0, x1]) in plane.as_chunks::<2>().0.iter().skip(1).take(width).enumerate() {
                for (acc, &[w0, w1]) in acc.iter_mut().skip(2 * x).zip(taps.as_chunks::<2>().0) {
                    *acc += w0 * x0 as i32 + w1 * x1 as i32;
                }
            }
        }
    }
}

/// Two output channels of a row of a stride-2 transposed 3x3 convolution at columns `first ..` of the `2 * width + 1`; `first`
/// is even.
///
/// Every source is a modulated row of `width` pixels and its weights as a pack has them, `[pair][3][i][o]`. Pixel x adds
/// tap b to column `2 x + b`, so an even column takes tap 0 of its own pixel and tap 2 of the one before, an odd one tap 1.
/// Both accumulators have one length.
pub fn spread_pair(sources: &[(&[i16], &[i8])], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    let [a, b] = acc;
    a.fill(0);
    b.fill(0);
    for (row, weights) in sources {
        for (plane, taps) in row.chunks_exact(plane_len(width)).zip(weights.as_chunks::<12>().0) {
            let taps = taps.map(i32::from);
            let (taps, _) = taps.as_chunks::<4>();
            let &[own, odd, before] = taps else { continue };
            let pixels = plane.as_chunks::<2>().0;
            let columns = a.chunks_mut(2).zip(b.chunks_mut(2));
            for ((a, b), pixels) in columns.zip(pixels.windows(2).skip(first / 2)) {
                let &[left, right] = pixels else { continue };
                for (acc, o) in [(a, 0), (b, 1)] {
                    let times = |taps: [i32; 4], x: [i16; 2]| taps[o] * x[0] as i32 + taps[2 + o] * x[1] as i32;
                    if let Some((even, rest)) = acc.split_first_mut() {
                        *even += times(own, right) + times(before, left);
                        rest.iter_mut().for_each(|acc| *acc += times(odd, right));
                    }
                }
            }
        }
    }
}

/// Turns the accumulators of one channel into activations; all slices are `[width]`.
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    scale.apply(|value| {
        for ((out, &acc), &noise) in out.iter_mut().zip(acc).zip(noise) {
            *out = activate(value(acc), bias, noise, limit);
        }
    });
}

/// Turns the accumulators of one channel into the values of an intermediate row.
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    scale.apply(|value| out.iter_mut().zip(acc).for_each(|(out, &acc)| *out = limited(value(acc))));
}

/// Filters four intermediate rows of one channel vertically with `[1, 3, 3, 1] * 2^before`; `None` is a row of zeros.
pub fn filter_down(rows: [Option<&[i16]>; 4], before: u32, columns: &mut [i32]) {
    columns.fill(0);
    for (row, tap) in rows.into_iter().zip([1i32, 3, 3, 1]) {
        for (to, &v) in columns.iter_mut().zip(row.unwrap_or_default()) {
            *to += (tap << before) * v as i32;
        }
    }
}

/// Filters horizontally with `[1, 3, 3, 1]`, in place:
/// `columns[x] = columns[x] + 3 columns[x + 1] + 3 columns[x + 2] + columns[x + 3]` for all but the last four.
pub fn filter_along(columns: &mut [i32]) {
    for x in 0..columns.len().saturating_sub(4) {
        if let Some(&mut [ref mut a, b, c, d]) = columns.get_mut(x..x + 4) {
            *a += d + 3 * (b + c);
        }
    }
}

/// `acc[x] = sum over pairs of taps * row[x + 1]`: one output channel of a 1x1 convolution. Taps are `[pair][2]`.
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    acc.fill(0);
    for (plane, &[w0, w1]) in row.chunks_exact(plane_len(acc.len())).zip(taps.as_chunks::<2>().0) {
        for (acc, &[x0, x1]) in acc.iter_mut().zip(plane.as_chunks::<2>().0.iter().skip(1)) {
            *acc += w0 as i32 * x0 as i32 + w1 as i32 * x1 as i32;
        }
    }
}

/// Adds a colour's accumulators to a row of the image. Each is scaled, gets the bias and is limited to `limit` (at most
/// 2^24); the sum with the image saturates to 16 bits.
pub fn blend_row(acc: &[i32], scale: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    scale.apply(|value| {
        for (rgb, &acc) in rgb.iter_mut().zip(acc) {
            let own = value(acc).saturating_add(bias).clamp(-limit, limit);
            *rgb = limited(i32::from(*rgb) + own);
        }
    });
}

/// Row y of one colour of an image doubled by StyleGAN2's filter (up 2, pads 2 and 1, gain 4), rounded once: `out` is
/// `[2 * width]`. `near` is source row y/2, `far` the one above it for an even y and below it for an odd y.
pub fn upsample_rgb_row(near: &[i16], far: Option<&[i16]>, out: &mut [i16]) {
    match far {
        Some(far) => double(near.iter().zip(far).map(|(&near, &far)| 3 * near as i32 + far as i32), out),
        None => double(near.iter().map(|&near| 3 * near as i32), out),
    }
}

/// Doubles a row of column sums.
#[inline(always)]
fn double(mut columns: impl Iterator<Item = i32>, out: &mut [i16]) {
    let (mut before, mut here) = (0, columns.next().unwrap_or_default());
    // Sixteenths of sums of 16 values with 16 bits each fit in 16 bits.
    let pixels = |before, here, after| [((3 * here + before + 8) >> 4) as i16, ((3 * here + after + 8) >> 4) as i16];
    let (out, _) = out.as_chunks_mut::<2>();
    let Some((last, out)) = out.split_last_mut() else { return };
    for (out, after) in out.iter_mut().zip(columns) {
        *out = pixels(before, here, after);
        (before, here) = (here, after);
    }
    *last = pixels(before, here, 0);
}

/// Turns a row of a grey image into bytes: `floor(127.5 x + 128)` limited to 0 ..= 255. `fraction` is the number of
/// fractional bits of a value.
pub fn grey_to_bytes(grey: &[i16], fraction: u8, bytes: &mut [u8]) {
    for (byte, &v) in bytes.iter_mut().zip(grey) {
        *byte = ((i32::from(v) + (128 << fraction)) >> fraction).clamp(0, 255) as u8;
    }
}

/// Turns a row of an RGB image, `[3][width]`, into bytes, `[width][3]`: `floor(127.5 x + 128)` limited to 0 ..= 255.
#[inline(never)]
pub fn to_bytes(rgb: &[i16], fraction: u8, bytes: &mut [u8]) {
    let width = rgb.len() / 3;
    let (red, rest) = rgb.split_at(width);
    let (green, blue) = rest.split_at(width);
    let byte = |v: i16| ((i32::from(v) + (128 << fraction)) >> fraction).clamp(0, 255) as u8;
    for (((out, &r), &g), &b) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
        *out = [byte(r), byte(g), byte(b)];
    }
}
