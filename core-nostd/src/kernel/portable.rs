//! Every kernel in plain Rust, written so that a compiler can vectorise it.
//!
//! Feature rows are channel-last, `[x][channel]`; *padded* rows have one pixel of zeros before the first and after the last.
//! A kernel that takes `Option<&[i16]>` rows treats `None` as a row of zeros. Kernels compute in `i32` without checks:
//! their callers have the pack's proof ([`accumulator_fits`](crate::pack::verify::accumulator_fits)).

/// `sum w x`. The sum of the magnitudes of its terms must be below 2^31.
#[inline]
pub fn dot_i8(weights: &[i8], x: &[i16]) -> i32 {
    weights.iter().zip(x).map(|(&w, &x)| w as i32 * x as i32).sum()
}

/// `sum w x` for any values, up to 2^40 of them.
#[inline]
pub fn dot_i8_wide(weights: &[i8], x: &[i16]) -> i64 {
    // 256 * 2^7 * 2^15 = 2^30.
    let parts = weights.chunks(256).zip(x.chunks(256));
    parts.map(|(w, x)| dot_i8(w, x) as i64).sum()
}

/// `sum w x` for any values, up to 2^33 of them.
#[inline]
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    weights.iter().zip(x).map(|(&w, &x)| (w as i32 * x as i32) as i64).sum()
}

/// Modulates pixels: `out[x][i] = round(row[x][i] * styles[i] / 2^shift)`, for a shift in 15 .. 30 and magnitudes to 32767.
pub fn modulate(row: &[i16], styles: &[i16], shift: u8, out: &mut [i16]) {
    if styles.is_empty() {
        return;
    }
    let half = (1i32 << shift) >> 1;
    for (to, from) in out.chunks_exact_mut(styles.len()).zip(row.chunks_exact(styles.len())) {
        for ((to, &x), &s) in to.iter_mut().zip(from).zip(styles) {
            *to = ((x as i32 * s as i32 + half) >> shift) as i16;
        }
    }
}

/// Energy of one output channel's modulated weights: `sum_i styles[i]^2 * sum_k weights[k][i]^2` for nine taps `[3][3][inputs]`.
pub fn energy(weights: &[i8], styles: &[i16]) -> u64 {
    let mut sum = 0u64;
    for (i, &s) in styles.iter().enumerate() {
        let taps = weights.iter().skip(i).step_by(styles.len());
        let squares: u32 = taps.map(|&w| (w as i32 * w as i32) as u32).sum();
        sum += squares as u64 * (s as i32 * s as i32) as u64;
    }
    sum
}

/// One row of a 3x3 correlation with padding 1: calls `finish(x, output channel, accumulator)` for every value.
///
/// `rows` are the padded rows above, at and below, `[width + 2][inputs]`; weights are `[outputs][3][3][inputs]`.
pub fn conv3x3_row(
    rows: [Option<&[i16]>; 3],
    width: usize,
    inputs: usize,
    weights: &[i8],
    mut finish: impl FnMut(usize, usize, i32),
) {
    let span = 3 * inputs;
    if span == 0 {
        return;
    }
    for x in 0..width {
        let windows = rows.map(|row| row.and_then(|row| row.get(x * inputs..x * inputs + span)));
        for (o, taps) in weights.chunks_exact(3 * span).enumerate() {
            let mut acc = 0;
            for (window, taps) in windows.iter().zip(taps.chunks_exact(span)) {
                if let Some(window) = window {
                    acc += dot_i8(taps, window);
                }
            }
            finish(x, o, acc);
        }
    }
}

/// Row `2 y + parity` of a stride-2 transposed 3x3 convolution: `T[2y + a][2x + b] += sum_i w[a][b][i] in[y][x][i]`.
///
/// With parity 0 the row gets tap row 2 from `above` (input row `y - 1`) and tap row 0 from `row` (input row y); with parity
/// 1 it gets tap row 1 from `row`, and `above` does not count. Inputs are padded, `[width + 2][inputs]`; calls
/// `finish(x, output channel, accumulator)` for x in `0 ..= 2 * width`.
pub fn transposed3x3_row(
    above: Option<&[i16]>,
    row: Option<&[i16]>,
    parity: usize,
    width: usize,
    inputs: usize,
    weights: &[i8],
    mut finish: impl FnMut(usize, usize, i32),
) {
    if inputs == 0 {
        return;
    }
    let sources = if parity == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
    for x in 0..=2 * width {
        // (position in the padded row, tap column): an even column sees pixels x/2 (tap 0) and x/2 - 1 (tap 2).
        let columns: &[(usize, usize)] = if x % 2 == 0 { &[(x / 2 + 1, 0), (x / 2, 2)] } else { &[(x / 2 + 1, 1)] };
        for (o, taps) in weights.chunks_exact(9 * inputs).enumerate() {
            let mut acc = 0;
            for &(source, a) in &sources {
                let Some(source) = source else { continue };
                for &(pixel, b) in columns {
                    let tap = (3 * a + b) * inputs;
                    let taps = taps.get(tap..tap + inputs).unwrap_or_default();
                    let pixel = source.get(pixel * inputs..(pixel + 1) * inputs).unwrap_or_default();
                    acc += dot_i8(taps, pixel);
                }
            }
            finish(x, o, acc);
        }
    }
}

/// `[1, 3, 3, 1]` down four rows of equal length, without its divisor 8; `out` is as long as they.
pub fn fir_rows(rows: [Option<&[i16]>; 4], out: &mut [i32]) {
    out.fill(0);
    for (row, tap) in rows.into_iter().zip([1, 3, 3, 1]) {
        for (out, &v) in out.iter_mut().zip(row.unwrap_or_default()) {
            *out += tap * v as i32;
        }
    }
}

/// `[1, 3, 3, 1]` along a row, without its divisor 8: `finish(x, channel, value)` for x in `0 .. width`, with the first tap
/// on pixel x of `row`, `[width + 3][channels]`.
pub fn fir_columns(row: &[i32], width: usize, channels: usize, mut finish: impl FnMut(usize, usize, i32)) {
    for x in 0..width {
        let window = row.get(x * channels..(x + 4) * channels).unwrap_or_default();
        for c in 0..channels {
            let tap = |t: usize| window.get(t * channels + c).copied().unwrap_or_default();
            finish(x, c, tap(0) + 3 * (tap(1) + tap(2)) + tap(3));
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
