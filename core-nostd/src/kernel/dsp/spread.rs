//! The multiply-accumulate loop of transposed convolutions: 4 input pixels, 8 columns of one output channel.

use core::arch::naked_asm;
use core::ptr;

use super::arguments::{aligned, entry};
use crate::kernel::layout::plane_len;
use crate::kernel::portable;

/// Steps in one round of the loop. A step is one pair of channels.
const UNROLLED: usize = 4;
/// Bytes of code of a step: 20 instructions of 4 bytes.
const STEP: usize = 80;

/// Arguments of [`tiles`].
#[repr(C)]
struct Tiles {
    /// The pixel before the tile's first one, in each source; null for an absent source.
    rows: [*const i16; 2],
    /// The taps of each source, and where they end.
    taps: [*const i16; 2],
    ends: [*const i16; 2],
    acc: *mut i32,
    acc_end: *mut i32,
    /// Bytes from one plane to the next.
    stride: usize,
    /// Bytes of code that the loop's first round skips.
    entry: usize,
}

/// Gives the same result as [`portable::spread`].
pub fn spread(sources: &[(&[i16], &[i16])], acc: &mut [i32]) {
    let width = acc.len() / 2;
    let plane = plane_len(width);
    let pairs = sources.first().map_or(0, |(row, _)| row.len() / plane);
    let fits = |&(row, taps): &(&[i16], &[i16])| {
        row.len() == pairs * plane && taps.len() == 6 * pairs && aligned(row) && aligned(taps)
    };
    let usable = acc.len() == 2 * width + 1 && (1..=2).contains(&sources.len()) && sources.iter().all(fits);
    let Some((last, columns)) = acc.split_last_mut().filter(|_| usable && pairs > 0 && width.is_multiple_of(4)) else {
        return portable::spread(sources, acc);
    };
    let range = columns.as_mut_ptr_range();
    let mut tiles_of = Tiles {
        rows: [ptr::null(); 2],
        taps: [ptr::null(); 2],
        ends: [ptr::null(); 2],
        acc: range.start,
        acc_end: range.end,
        stride: 2 * plane,
        entry: entry(pairs, UNROLLED, STEP),
    };
    let places = tiles_of.rows.iter_mut().zip(&mut tiles_of.taps).zip(&mut tiles_of.ends);
    for (((to, start), end), (row, taps)) in places.zip(sources) {
        *to = row.as_ptr();
        let range = taps.as_ptr_range();
        (*start, *end) = (range.start, range.end);
    }
    if width > 0 {
        // SAFETY: every row has `pairs` planes of width + 2 words, of which the tile at pixel x reads x .. x + 5; the taps
        // have 3 words for every pair; `columns` has 2 * width words, and the width is a multiple of 4.
        unsafe { tiles(&tiles_of) };
    }
    // The last column gets the third tap of the last pixel only.
    *last = 0;
    for (row, taps) in sources {
        for (plane, taps) in row.chunks_exact(plane).zip(taps.as_chunks::<6>().0) {
            if let (Some(&[x0, x1]), &[.., w0, w1]) = (plane.as_chunks::<2>().0.get(width), taps) {
                *last += w0 as i32 * x0 as i32 + w1 as i32 * x1 as i32;
            }
        }
    }
}

/// # Safety
/// The arguments meet the conditions that [`spread`] checks.
#[unsafe(naked)]
unsafe extern "C" fn tiles(tiles: &Tiles) {
    // r4 ..= r11 accumulate 8 columns; r0 is x, r1 the taps; r2, r3 and r12 are the three columns' taps, lr a pixel. Pixel x
    // adds to columns 2x, 2x + 1 and 2x + 2.
    naked_asm!(
        cpu!(),
        ".macro ND_STEP",
        "ldm.w r1!, {{r2, r3, r12}}",
        "ldr.w lr, [r0]",
        "smlad r4, lr, r12, r4",
        "ldr.w lr, [r0, #4]",
        "smlad r4, lr, r2, r4",
        "smlad r5, lr, r3, r5",
        "smlad r6, lr, r12, r6",
        "ldr.w lr, [r0, #8]",
        "smlad r6, lr, r2, r6",
        "smlad r7, lr, r3, r7",
        "smlad r8, lr, r12, r8",
        "ldr.w lr, [r0, #12]",
        "smlad r8, lr, r2, r8",
        "smlad r9, lr, r3, r9",
        "smlad r10, lr, r12, r10",
        "ldr.w lr, [r0, #16]",
        "smlad r10, lr, r2, r10",
        "smlad r11, lr, r3, r11",
        "ldr.w lr, [sp, #32]",
        "add.w r0, r0, lr",
        ".endm",
        // One source: the next tile's pixels, 4 on, go back to their place. Without a source, the entry lies behind.
        ".macro ND_SOURCE loop, behind, row, taps, end, entry",
        "ldr r0, [sp, #\\row]",
        "add.w r2, r0, #16",
        "str r2, [sp, #\\row]",
        "ldr r1, [sp, #\\taps]",
        "ldr.w pc, [sp, #\\entry]",
        ".p2align 2",
        "\\loop:",
        ".rept 4",
        "ND_STEP",
        ".endr",
        "ldr.w lr, [sp, #\\end]",
        "cmp r1, lr",
        "bne.w \\loop\\()b",
        "\\behind:",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // 0: rows, 8: taps, 16: ends, 24: acc, 28: its end, 32: stride, 36: entries.
        "sub sp, #44",
        "ldm.w r0, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
        "mov r12, sp",
        "stm.w r12, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
        "orr r10, r10, #1",
        "adr.w r5, 3f",
        "add.w r5, r5, r10",
        "str r5, [sp, #36]",
        "adr.w r5, 5f",
        "add.w r5, r5, r10",
        "adr.w r6, 6f",
        "cmp r2, #0",
        "it eq",
        "orreq r5, r6, #1",
        "str r5, [sp, #40]",
        "2:",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov.w r8, #0",
        "mov.w r9, #0",
        "mov.w r10, #0",
        "mov.w r11, #0",
        "ND_SOURCE 3, 4, 0, 8, 16, 36",
        "ND_SOURCE 5, 6, 4, 12, 20, 40",
        "ldr r0, [sp, #24]",
        "stm.w r0!, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "str r0, [sp, #24]",
        "ldr r1, [sp, #28]",
        "cmp r0, r1",
        "bne.w 2b",
        "add sp, #44",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_STEP",
        ".purgem ND_SOURCE",
    )
}
