//! Arguments of the assembly loops that make convolution rows tile by tile. All that a loop reads is checked here.

use core::ptr;

use super::layout::plane_len;
use super::portable;

/// An input row and its weights.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Source {
    /// The first pixel that the next tile reads, in the first pair's plane. The loops advance it.
    row: *const i16,
    /// The row's weights, `[pair][3][i][o]`, for at least one pair.
    weights: *const i8,
    /// The end of the row's weights.
    end: *const i8,
}

impl Source {
    /// Ends a list of sources.
    const LAST: Self = Self { row: ptr::null(), weights: ptr::null(), end: ptr::null() };

    /// A row whose first tile begins at its value `first`, with its weights.
    fn new(row: &[i16], first: usize, weights: &[i8]) -> Self {
        let range = weights.as_ptr_range();
        Self { row: row.get(first..).unwrap_or_default().as_ptr(), weights: range.start, end: range.end }
    }
}

/// The arguments of a loop over tiles.
#[repr(C)]
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    /// Offset 0: bytes from one pair's plane to the next.
    stride: usize,
    /// Offset 4: the end of the first channel's accumulators of the last tile.
    acc_end: *mut i32,
    /// Offset 8: one to three sources of 12 bytes each, then one whose row is null.
    sources: [Source; 4],
    /// Offset 56: the next tile's accumulators, of both channels. The loops advance them.
    acc: [*mut i32; 2],
}

#[cfg(m0_kernels)]
impl Tiles {
    /// Runs a loop that makes one output channel, that of `acc[0]`, for both channels.
    ///
    /// # Safety
    /// The conditions are those of every [`Loop`].
    pub unsafe fn by_channel(&mut self, one: Loop) {
        let bytes = self.acc_end.addr() - self.acc[0].addr();
        let mut second = self.clone();
        for source in second.sources.iter_mut().filter(|source| !source.row.is_null()) {
            // The loop reads the first and the third of four weights, `[i][o]`.
            (source.weights, source.end) = (source.weights.wrapping_add(1), source.end.wrapping_add(1));
        }
        second.acc[0] = self.acc[1];
        second.acc_end = self.acc[1].wrapping_byte_add(bytes);
        // SAFETY: the caller's promise; one further, the third of the last four weights is the last of them all.
        unsafe {
            one(self);
            one(&mut second);
        }
        self.acc[1] = second.acc[0];
    }
}

/// A loop in assembly.
///
/// # Safety
/// Every row has the same number of planes, `stride` bytes apart, and 12 weights for each plane. The loop may read
/// everything that its tiles need of them, and write the accumulators of whole tiles up to `acc_end`.
pub(super) type Loop = unsafe extern "C" fn(&mut Tiles);

/// Gives the same result as [`portable::correlate_pair`], with loops whose tiles are 8 and 4 pixels. A tile of n at
/// pixel x reads `x .. x + n + 2`.
pub(super) fn correlate_pair(
    rows: &[&[i16]],
    weights: &[i8],
    width: usize,
    first: usize,
    acc: [&mut [i32]; 2],
    [by_8, by_4]: [Loop; 2],
) {
    let [a, b] = acc;
    let (plane, columns) = (plane_len(width), a.len());
    let pairs = rows.first().map_or(0, |row| row.len() / plane);
    let fits = pairs > 0 && rows.iter().all(|row| row.len() == pairs * plane);
    let usable = fits && (1..=3).contains(&rows.len()) && weights.len() == 12 * pairs * rows.len();
    let inside = b.len() == columns && first.checked_add(columns).is_some_and(|end| end <= width);
    if !usable || !inside || !columns.is_multiple_of(4) {
        return portable::correlate_pair(rows, weights, width, first, [a, b]);
    }
    let mut sources = [Source::LAST; 4];
    for (to, (row, weights)) in sources.iter_mut().zip(rows.iter().zip(weights.chunks_exact(12 * pairs))) {
        *to = Source::new(row, 2 * first, weights);
    }
    let eights = columns - columns % 8;
    let (a, b) = (a.as_mut_ptr(), b.as_mut_ptr());
    let mut tiles = Tiles { stride: 2 * plane, acc_end: a.wrapping_add(eights), sources, acc: [a, b] };
    // SAFETY: every row has `pairs` planes of width + 2 pixels, and x + n is at most the width; every row has 12 weights for
    // each pair; both channels have `columns` accumulators, a multiple of 4, and the loops leave off whole tiles away.
    unsafe {
        if eights > 0 {
            by_8(&mut tiles);
        }
        if eights < columns {
            tiles.acc_end = a.wrapping_add(columns);
            by_4(&mut tiles);
        }
    }
}

/// Gives the same result as [`portable::spread_pair`], with a loop whose tiles are 4 input pixels and 8 columns. The
/// tile of pixel x reads `x - 1 .. x + 4`; for x = 0 the first of these is the border of zeros.
pub(super) fn spread_pair(sources: &[(&[i16], &[i8])], width: usize, first: usize, acc: [&mut [i32]; 2], by_8: Loop) {
    let [a, b] = acc;
    let (plane, columns) = (plane_len(width), a.len());
    let pairs = sources.first().map_or(0, |(row, _)| row.len() / plane);
    let fits = |&(row, weights): &(&[i16], &[i8])| row.len() == pairs * plane && weights.len() == 12 * pairs;
    let usable = pairs > 0 && (1..=2).contains(&sources.len()) && sources.iter().all(fits);
    let inside = b.len() == columns && first.checked_add(columns).is_some_and(|end| end <= 2 * width + 1);
    // No tile covers the last column, which has no input pixel of its own, nor the part of a row that does not fill a
    // tile.
    let tiled = if usable && inside && first.is_multiple_of(2) { columns - columns % 8 } else { 0 };
    let ((a, rest_a), (b, rest_b)) = (a.split_at_mut(tiled), b.split_at_mut(tiled));
    if !rest_a.is_empty() {
        portable::spread_pair(sources, width, first + tiled, [rest_a, rest_b]);
    }
    if tiled == 0 {
        return;
    }
    let mut list = [Source::LAST; 4];
    for (to, (row, weights)) in list.iter_mut().zip(sources) {
        *to = Source::new(row, first, weights);
    }
    let range = a.as_mut_ptr_range();
    let mut tiles = Tiles { stride: 2 * plane, acc_end: range.end, sources: list, acc: [range.start, b.as_mut_ptr()] };
    // SAFETY: every row has `pairs` planes of width + 2 pixels, and x + 4 is at most the width, because a tile's 8 columns
    // are inside; every row has 12 weights for each pair; both channels have accumulators for a multiple of 8 columns.
    unsafe { by_8(&mut tiles) }
}
