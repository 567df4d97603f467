//! Kernels for Arm cores with the DSP extension: the loops of [`portable`](super::portable) with two multiply-accumulates an
//! instruction. The same integers; what their loops cannot take (a width that is no multiple of 4) the portable twin does.

mod tile;

use super::finish::{Activation, Finish, Middle};
use super::layout::{padded, pair_len};
use super::portable;
use tile::{Segment, Tile};

/// As [`portable::conv3x3_row`].
pub fn conv3x3_row(
    rows: [Option<&[i16]>; 3],
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    out: &mut [i16],
) {
    let channels = padded(inputs);
    let len = (width + 2) * channels;
    if !width.is_multiple_of(4) || channels == 0 || rows.iter().flatten().any(|row| row.len() < len) {
        return portable::conv3x3_row(rows, width, inputs, weights, finish, out);
    }
    let mut tile = Tile::new(2 * channels, 3 * channels / 2);
    for (pair, taps) in weights.chunks_exact(pair_len(inputs)).enumerate() {
        let mut segments = [Segment { x: core::ptr::null(), weights: taps.as_ptr() }; 3];
        let mut count = 0;
        for (row, taps) in rows.iter().zip(taps.chunks_exact(6 * channels)) {
            if let (Some(row), Some(segment)) = (row, segments.get_mut(count)) {
                *segment = Segment { x: row.as_ptr(), weights: taps.as_ptr() };
                count += 1;
            }
        }
        let Some(segments) = segments.get_mut(..count).filter(|_| count > 0) else { return };
        for x in (0..width).step_by(4) {
            let mut acc = [0; 8];
            // SAFETY: a segment is three taps of a row: its weights are a chunk of 6 * channels, its values begin at pixel
            // x; the fourth pixel's window ends at pixel x + 6 <= width + 2, where the row (its length checked) ends.
            unsafe { tile.run(segments, &mut acc) };
            store(finish, 2 * pair, x, 1, &acc, out);
            for segment in segments.iter_mut() {
                segment.x = segment.x.wrapping_add(4 * channels);
            }
        }
    }
}

/// Stores a tile's accumulators: channels `o` and, where there is one, `o + 1`.
#[inline(always)]
fn store(finish: impl Finish, o: usize, x: usize, step: usize, acc: &[i32; 8], out: &mut [i16]) {
    finish.store(o, x, step, acc.iter().copied().step_by(2), out);
    finish.store(o + 1, x, step, acc.iter().copied().skip(1).step_by(2), out);
}

/// As [`portable::transposed3x3_row`].
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
    let channels = padded(inputs);
    let len = (width + 2) * channels;
    let short = |row: Option<&[i16]>| row.is_some_and(|row| row.len() < len);
    if !width.is_multiple_of(4) || channels == 0 || short(above) || short(row) {
        return portable::transposed3x3_row(above, row, parity, width, inputs, weights, finish, out);
    }
    let sources = if parity == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
    for (pair, taps) in weights.chunks_exact(pair_len(inputs)).enumerate() {
        // The columns' taps: (position in the padded row at column 0, tap column).
        for (first, step, columns) in
            [(0, 2, &[(1, 0), (0, 2)][..]), (1, 2, &[(1, 1)][..]), (2 * width, 0, &[(width, 2)][..])]
        {
            let mut segments = [Segment { x: core::ptr::null(), weights: taps.as_ptr() }; 4];
            let mut count = 0;
            for &(source, a) in &sources {
                let Some(source) = source else { continue };
                for &(pixel, b) in columns {
                    let (taps, x) = (taps.get(2 * (3 * a + b) * channels..), source.get(pixel * channels..));
                    if let (Some(taps), Some(x), Some(segment)) = (taps, x, segments.get_mut(count)) {
                        *segment = Segment { x: x.as_ptr(), weights: taps.as_ptr() };
                        count += 1;
                    }
                }
            }
            let Some(segments) = segments.get_mut(..count).filter(|_| count > 0) else { return };
            if step == 0 {
                // The last column has a tile of its own, all of whose pixels are one.
                let mut tile = Tile::new(0, channels / 2);
                let mut acc = [0; 8];
                // SAFETY: a segment is one tap, of 2 * channels weights, and one pixel, the row's `width`th.
                unsafe { tile.run(segments, &mut acc) };
                let [a, b, ..] = acc;
                finish.store(2 * pair, first, 1, core::iter::once(a), out);
                finish.store(2 * pair + 1, first, 1, core::iter::once(b), out);
                continue;
            }
            let mut tile = Tile::new(2 * channels, channels / 2);
            for x in (0..width).step_by(4) {
                let mut acc = [0; 8];
                // SAFETY: a segment is one tap, of 2 * channels weights; its four pixels end at x + 5 <= width + 2, where
                // the row (its length checked) ends.
                unsafe { tile.run(segments, &mut acc) };
                store(finish, 2 * pair, 2 * x + first, step, &acc, out);
                for segment in segments.iter_mut() {
                    segment.x = segment.x.wrapping_add(4 * channels);
                }
            }
        }
    }
}
