//! Kernels in Rust for processors that handle one value at a time: each value is loaded once, and sums stay in 32 bits.

use core::cell::Cell;

use super::portable;

/// Gives the same result as [`portable::dot_i16`].
///
/// Two sums are kept modulo 2^32: that of the products, and that of the products' upper halves. The true sum minus the
/// upper halves' share is the sum of the lower halves, which fits in 32 bits, so the two sums determine the true one.
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    // The lower halves sum to less than 2^31, the upper ones to 2^29 at most.
    const PART: usize = 1 << 15;
    let parts = weights.chunks(PART).zip(x.chunks(PART));
    let sum = |(w, x): (&[i16], &[i16])| {
        let (w, x) = (w.get(..x.len()).unwrap_or(w), x.get(..w.len()).unwrap_or(x));
        let (mut all, mut upper) = (0u32, 0i32);
        let mut add = |&w: &i16, &x: &i16| {
            let product = w as i32 * x as i32;
            all = all.wrapping_add(product as u32);
            upper += product >> 16;
        };
        let ((w, rest_w), (x, rest_x)) = (w.as_chunks::<8>(), x.as_chunks::<8>());
        for (w, x) in w.iter().zip(x) {
            w.iter().zip(x).for_each(|(w, x)| add(w, x));
        }
        rest_w.iter().zip(rest_x).for_each(|(w, x)| add(w, x));
        let lower = all.wrapping_sub((upper as u32) << 16);
        ((upper as i64) << 16) + lower as i64
    };
    parts.map(sum).sum()
}

/// Gives the same result as [`portable::filter_down`]; four present rows are read in one pass.
pub fn filter_down(rows: [Option<&[i16]>; 4], before: u32, columns: &mut [i32]) {
    let [Some(a), Some(b), Some(c), Some(d)] = rows.map(|row| row?.get(..columns.len())) else {
        return portable::filter_down(rows, before, columns);
    };
    for ((((to, &a), &b), &c), &d) in columns.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let [a, b, c, d] = [a, b, c, d].map(i32::from);
        *to = (a + d + 3 * (b + c)) << before;
    }
}

/// Gives the same result as [`portable::filter_along`].
pub fn filter_along(columns: &mut [i32]) {
    let cells = Cell::from_mut(columns).as_slice_of_cells();
    let [a, b, c, ahead @ ..] = cells else { return };
    let (mut a, mut b, mut c) = (a.get(), b.get(), c.get());
    // The window of the last result ends one value before the last column.
    let len = ahead.len().saturating_sub(1);
    for (to, ahead) in cells.iter().zip(ahead).take(len) {
        let d = ahead.get();
        to.set(a + d + 3 * (b + c));
        (a, b, c) = (b, c, d);
    }
}
