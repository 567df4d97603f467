//! The three multiply-accumulate kernels on vectors. A modulated row has two channels side by side, so one product of
//! pairs gives the sums of two channels for four pixels.

use super::vector::{self, I16x8, I32x4};
use crate::kernel::layout::plane_len;

/// Repeats a pair of weights for all four pixels of a vector.
#[inline(always)]
fn both(weights: &[i16; 2]) -> I16x8 {
    let [first, second] = weights.map(|w| u32::from(w as u16));
    vector::splat_pair((first | second << 16) as i32)
}

/// Loads eight values from index `at` on. Past the end of the row it gives zeros, which never happens in a row of the
/// right length.
#[inline(always)]
fn load(values: &[i16], at: usize) -> I16x8 {
    match values.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(eight) => vector::load(eight),
        None => vector::splat_pair(0),
    }
}

/// Adds `sums` to the four accumulators from index `at` on.
#[inline(always)]
fn add_to(acc: &mut [i32], at: usize, sums: I32x4) {
    if let Some(four) = acc.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        let sums = vector::to_array(sums);
        four.iter_mut().zip(sums).for_each(|(acc, sum)| *acc = acc.wrapping_add(sum));
    }
}

/// Gives the same result as [`portable::correlate`](crate::kernel::portable::correlate).
pub fn correlate(rows: &[&[i16]], taps: &[i16], acc: &mut [i32]) {
    let plane = plane_len(acc.len());
    let share = (taps.len() / rows.len().max(1)).max(1);
    let mut x = 0;
    // Sixteen pixels stay in registers over all rows and pairs.
    let (blocks, rest) = acc.as_chunks_mut::<16>();
    for block in blocks {
        tile::<4>(rows, taps, share, plane, x, block);
        x += 16;
    }
    let (blocks, rest) = rest.as_chunks_mut::<4>();
    for block in blocks {
        tile::<1>(rows, taps, share, plane, x, block);
        x += 4;
    }
    for acc in rest {
        *acc = pixel(rows, taps, share, plane, x);
        x += 1;
    }
}

/// Makes `4 N` pixels from pixel x on.
#[inline(always)]
fn tile<const N: usize>(rows: &[&[i16]], taps: &[i16], share: usize, plane: usize, x: usize, acc: &mut [i32]) {
    let mut sums = [vector::zero(); N];
    for (row, taps) in rows.iter().zip(taps.chunks_exact(share)) {
        for (plane, taps) in row.chunks_exact(plane).zip(taps.as_chunks::<6>().0) {
            let [a, b, c, d, e, f] = *taps;
            let weights = [both(&[a, b]), both(&[c, d]), both(&[e, f])];
            let Some(from) = plane.get(2 * x..2 * x + 8 * N + 4) else { continue };
            for (n, sum) in sums.iter_mut().enumerate() {
                for (column, &weights) in weights.iter().enumerate() {
                    *sum = vector::add(*sum, vector::dot_pairs(load(from, 8 * n + 2 * column), weights));
                }
            }
        }
    }
    for (acc, sum) in acc.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        *acc = vector::to_array(sum);
    }
}

/// Makes the sum of one pixel.
fn pixel(rows: &[&[i16]], taps: &[i16], share: usize, plane: usize, x: usize) -> i32 {
    let mut sum = 0;
    for (row, taps) in rows.iter().zip(taps.chunks_exact(share)) {
        for (plane, taps) in row.chunks_exact(plane).zip(taps.as_chunks::<6>().0) {
            let values = plane.get(2 * x..2 * x + 6).unwrap_or_default();
            sum += taps.iter().zip(values).map(|(&w, &v)| i32::from(w) * i32::from(v)).sum::<i32>();
        }
    }
    sum
}

/// Gives the same result as [`portable::spread`](crate::kernel::portable::spread), for widths that are multiples of 4.
pub fn spread(sources: &[(&[i16], &[i16])], acc: &mut [i32]) {
    let width = acc.len() / 2;
    let plane = plane_len(width);
    acc.fill(0);
    for x in (0..width).step_by(4) {
        let mut sums = [vector::zero(); 3];
        for (row, taps) in sources {
            for (plane, taps) in row.chunks_exact(plane).zip(taps.as_chunks::<6>().0) {
                let values = load(plane, 2 + 2 * x);
                let [a, b, c, d, e, f] = *taps;
                for (sum, weights) in sums.iter_mut().zip([[a, b], [c, d], [e, f]]) {
                    *sum = vector::add(*sum, vector::dot_pairs(values, both(&weights)));
                }
            }
        }
        let [even, odd, next] = sums;
        let [first, second] = vector::interleave(even, odd);
        add_to(acc, 2 * x, first);
        add_to(acc, 2 * x + 4, second);
        for (n, sum) in vector::to_array(next).into_iter().enumerate() {
            if let Some(acc) = acc.get_mut(2 * (x + n) + 2) {
                *acc += sum;
            }
        }
    }
}

/// Gives the same result as [`portable::mix`](crate::kernel::portable::mix).
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    let width = acc.len();
    let plane = plane_len(width);
    let (blocks, rest) = acc.as_chunks_mut::<4>();
    for (block, acc) in blocks.iter_mut().enumerate() {
        let mut sum = vector::zero();
        for (plane, weights) in row.chunks_exact(plane).zip(taps.as_chunks::<2>().0) {
            sum = vector::add(sum, vector::dot_pairs(load(plane, 2 + 8 * block), both(weights)));
        }
        *acc = vector::to_array(sum);
    }
    let done = width - rest.len();
    for (x, acc) in (done..).zip(rest) {
        let planes = row.chunks_exact(plane).zip(taps.as_chunks::<2>().0);
        let sums = planes.map(|(plane, weights)| {
            let values = plane.get(2 * x + 2..2 * x + 4).unwrap_or_default();
            weights.iter().zip(values).map(|(&w, &v)| i32::from(w) * i32::from(v)).sum::<i32>()
        });
        *acc = sums.sum();
    }
}
