//! The multiply-accumulate loop of 3x3 convolutions: 4 pixels of one output channel.

use core::arch::naked_asm;
use core::ptr;

use super::arguments::{aligned, entry};
use crate::kernel::layout::plane_len;
use crate::kernel::portable;

/// Steps in one round of the loop. A step is one pair of channels of one row.
const UNROLLED: usize = 4;
/// Bytes of code of a step: 16 instructions of 4 bytes.
const STEP: usize = 64;

/// Arguments of [`tiles`].
#[repr(C)]
struct Tiles {
    /// The first window of each row; null for an absent row.
    rows: [*const i16; 3],
    /// Where each row's taps end.
    ends: [*const i16; 3],
    /// The taps of the first row.
    taps: *const i16,
    acc: *mut i32,
    acc_end: *mut i32,
    /// Bytes of code that the loop's first round skips.
    entry: usize,
    /// Bytes from the end of one pair's window to the start of the next pair's.
    stride: usize,
}

/// Gives the same result as [`portable::correlate`].
pub fn correlate(rows: &[&[i16]], taps: &[i16], acc: &mut [i32]) {
    let (width, count) = (acc.len(), rows.len());
    let plane = plane_len(width);
    let pairs = rows.first().map_or(0, |row| row.len() / plane);
    let fits = rows.iter().all(|row| row.len() == pairs * plane && aligned(row));
    let usable = fits && (1..=3).contains(&count) && taps.len() == 6 * pairs * count && aligned(taps);
    if !usable || pairs == 0 || width == 0 || !width.is_multiple_of(4) {
        return portable::correlate(rows, taps, acc);
    }
    let end = acc.as_mut_ptr_range();
    let mut tiles_of = Tiles {
        rows: [ptr::null(); 3],
        ends: [ptr::null(); 3],
        taps: taps.as_ptr(),
        acc: end.start,
        acc_end: end.end,
        entry: entry(pairs, UNROLLED, STEP),
        stride: (2 * plane).wrapping_sub(24),
    };
    let ends = taps.chunks_exact(6 * pairs).map(|taps| taps.as_ptr_range().end);
    for ((to, end), (row, taps)) in tiles_of.rows.iter_mut().zip(&mut tiles_of.ends).zip(rows.iter().zip(ends)) {
        (*to, *end) = (row.as_ptr(), taps);
    }
    // SAFETY: every row has `pairs` planes of width + 2 words, of which the tile at pixel x reads x .. x + 6, and x + 4 is at
    // most the width, a multiple of 4; the taps have 3 words for every row and pair; `acc` has `width` words.
    unsafe { tiles(&tiles_of) }
}

/// # Safety
/// The arguments meet the conditions that [`correlate`] checks.
#[unsafe(naked)]
unsafe extern "C" fn tiles(tiles: &Tiles) {
    // r4 ..= r7 accumulate 4 pixels; r0 is x, r1 the taps, lr their end, r12 the stride; r8 ..= r10 are the three columns'
    // taps, r2, r3 and r11 three pixels. Six pixels serve four windows.
    naked_asm!(
        cpu!(),
        ".macro ND_STEP",
        "ldm.w r1!, {{r8, r9, r10}}",
        "ldm.w r0!, {{r2, r3, r11}}",
        "smlad r4, r2, r8, r4",
        "smlad r4, r3, r9, r4",
        "smlad r4, r11, r10, r4",
        "smlad r5, r3, r8, r5",
        "smlad r5, r11, r9, r5",
        "smlad r6, r11, r8, r6",
        "ldm.w r0!, {{r2, r3, r11}}",
        "smlad r5, r2, r10, r5",
        "smlad r6, r2, r9, r6",
        "smlad r6, r3, r10, r6",
        "smlad r7, r2, r8, r7",
        "smlad r7, r3, r9, r7",
        "smlad r7, r11, r10, r7",
        "add.w r0, r0, r12",
        ".endm",
        // One row: the next tile's window, 4 pixels on, goes back to its place. Without a row, the entry lies behind.
        ".macro ND_ROW loop, behind, row, end, entry",
        "ldr r0, [sp, #\\row]",
        "add.w r2, r0, #16",
        "str r2, [sp, #\\row]",
        "ldr.w lr, [sp, #\\end]",
        "ldr.w pc, [sp, #\\entry]",
        ".p2align 2",
        "\\loop:",
        ".rept 4",
        "ND_STEP",
        ".endr",
        "cmp r1, lr",
        "bne.w \\loop\\()b",
        "\\behind:",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // 0: rows, 12: ends, 24: taps, 28: acc, 32: its end, 36: entries.
        "sub sp, #52",
        "ldm.w r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
        "mov r12, sp",
        "stm.w r12!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
        "ldrd r4, r12, [r0]",
        "orr r4, r4, #1",
        "adr.w r5, 3f",
        "add.w r5, r5, r4",
        "str r5, [sp, #36]",
        "adr.w r5, 5f",
        "add.w r5, r5, r4",
        "adr.w r6, 6f",
        "cmp r2, #0",
        "it eq",
        "orreq r5, r6, #1",
        "str r5, [sp, #40]",
        "adr.w r5, 7f",
        "add.w r5, r5, r4",
        "adr.w r6, 8f",
        "cmp r3, #0",
        "it eq",
        "orreq r5, r6, #1",
        "str r5, [sp, #44]",
        "2:",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "ldr r1, [sp, #24]",
        "ND_ROW 3, 4, 0, 12, 36",
        "ND_ROW 5, 6, 4, 16, 40",
        "ND_ROW 7, 8, 8, 20, 44",
        "ldr r2, [sp, #28]",
        "stm r2!, {{r4, r5, r6, r7}}",
        "str r2, [sp, #28]",
        "ldr r3, [sp, #32]",
        "cmp r2, r3",
        "bne.w 2b",
        "add sp, #52",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_STEP",
        ".purgem ND_ROW",
    )
}
