//! The multiply-accumulate loop of 3x3 convolutions: 4 pixels of two output channels.

use core::arch::naked_asm;
use core::ptr;

use super::{Groups, LANES, plain};

/// Groups of channels in a round of the loop.
const UNROLLED: usize = 4;
/// Bytes of code of a group: 40 instructions of 4 bytes.
const STEP: usize = 160;

/// Arguments of [`tiles`].
#[repr(C)]
struct Tiles {
    /// The first window of each row; null where there is no row.
    rows: [*const i16; 3],
    acc: [*mut i32; 2],
    acc_end: *mut i32,
    /// Bytes from one group's window to the next group's.
    stride: usize,
    /// Rounds of the loop.
    rounds: usize,
    /// Bytes that the loop's first round skips; all of a round where the last group is the only one.
    entry: usize,
    /// Bytes from the last group's weights to where they would be if it were full.
    step: isize,
    /// Addresses of the first group's weights, less the step from a group to the next.
    weights: [*const i8; 4],
}

/// As [`portable::correlate_pair`](crate::kernel::portable::correlate_pair), with this processor's modulated rows.
pub fn correlate_pair(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    let [a, b] = acc;
    let (len, share) = (a.len(), weights.len() / rows.len().max(1));
    let groups = Groups::new(share / 12);
    let plane = LANES * (width + 2);
    let fits = rows.iter().all(|row| row.len() == groups.count * plane) && first + len <= width && b.len() == len;
    let usable = fits && (1..=3).contains(&rows.len()) && weights.len() == rows.len() * share && share % 12 == 0;
    if !usable || share == 0 || len == 0 || !len.is_multiple_of(4) || !weights.as_ptr().addr().is_multiple_of(4) {
        return plain::correlate_pair(rows, weights, width, first, [a, b]);
    }
    let range = a.as_mut_ptr_range();
    let (rounds, entry) = groups.rounds(UNROLLED, STEP);
    let mut arguments = Tiles {
        rows: [ptr::null(); 3],
        acc: [range.start, b.as_mut_ptr()],
        acc_end: range.end,
        stride: 2 * plane,
        rounds,
        entry,
        step: groups.step,
        weights: groups.addresses(weights.as_ptr()),
    };
    for (to, row) in arguments.rows.iter_mut().zip(rows) {
        *to = row.as_ptr().wrapping_add(LANES * first);
    }
    // SAFETY: every row has all groups of width + 2 pixels, of which the tile at pixel x reads x .. x + 6, and x + 4 is at most
    // the width; the weights' addresses stay within a share for each row; both accumulators have `len` words, a multiple of 4.
    unsafe { tiles(&arguments) }
}

/// # Safety
/// As [`correlate_pair`] has it.
#[unsafe(naked)]
unsafe extern "C" fn tiles(arguments: &Tiles) {
    // r0, r2, r4, r6 accumulate 4 pixels of one output, r8, r10, r12, lr those of the other. r1 is x, r5 the stride, r9 the
    // rounds, r3 and r7 the accumulators' places, r11 bytes of pixels done. q0 .. q2 are three columns' weights of one output,
    // q3 .. q5 of the other, q6 a pixel, q7 the weights' addresses: each has 2 channels and both outputs of a column.
    naked_asm!(
        cpu!(),
        ".macro NM_GROUP",
        "vldrw.u32 q0, [q7, #48]!",
        "vldrw.u32 q1, [q7, #4]",
        "vldrw.u32 q2, [q7, #8]",
        "vldrh.u16 q6, [r1]",
        "vmovlt.s8 q3, q0",
        "vmovlb.s8 q0, q0",
        "vmladava.s16 r8, q6, q3",
        "vmladava.s16 r0, q6, q0",
        "vldrh.u16 q6, [r1, #16]",
        "vmovlt.s8 q4, q1",
        "vmovlb.s8 q1, q1",
        "vmladava.s16 r8, q6, q4",
        "vmladava.s16 r10, q6, q3",
        "vmladava.s16 r0, q6, q1",
        "vmladava.s16 r2, q6, q0",
        "vldrh.u16 q6, [r1, #32]",
        "vmovlt.s8 q5, q2",
        "vmovlb.s8 q2, q2",
        "vmladava.s16 r8, q6, q5",
        "vmladava.s16 r10, q6, q4",
        "vmladava.s16 r12, q6, q3",
        "vmladava.s16 r0, q6, q2",
        "vmladava.s16 r2, q6, q1",
        "vmladava.s16 r4, q6, q0",
        "vldrh.u16 q6, [r1, #48]",
        "vmladava.s16 r10, q6, q5",
        "vmladava.s16 r12, q6, q4",
        "vmladava.s16 lr, q6, q3",
        "vmladava.s16 r2, q6, q2",
        "vmladava.s16 r4, q6, q1",
        "vmladava.s16 r6, q6, q0",
        "vldrh.u16 q6, [r1, #64]",
        "vmladava.s16 r12, q6, q5",
        "vmladava.s16 lr, q6, q4",
        "vmladava.s16 r4, q6, q2",
        "vmladava.s16 r6, q6, q1",
        "vldrh.u16 q6, [r1, #80]",
        "vmladava.s16 lr, q6, q5",
        "vmladava.s16 r6, q6, q2",
        ".endm",
        // One row. Without a row, or with one group alone, the entry lies behind what there is not.
        ".macro NM_ROW loop, last, behind, row, entry",
        "ldr r1, [sp, #\\row]",
        "ldr.w r9, [sp, #80]",
        "add r1, r11",
        "ldr.w pc, [sp, #\\entry]",
        ".p2align 2",
        "\\loop:",
        ".rept 4",
        "NM_GROUP",
        "add.w r1, r1, r5",
        ".endr",
        "subs.w r9, r9, #1",
        "bne.w \\loop\\()b",
        "\\last:",
        "ldr.w r9, [sp, #84]",
        "vadd.i32 q7, q7, r9",
        "NM_GROUP",
        "\\behind:",
        ".endm",
        // The address that row's entry has: behind its loop without rounds, behind all of it without a row.
        ".macro NM_ENTRY loop, last, behind, row, entry",
        "adr.w r1, \\loop\\()f",
        "add r1, r9",
        "adr.w r2, \\last\\()f",
        "cmp r8, #0",
        "it eq",
        "moveq r1, r2",
        "adr.w r2, \\behind\\()f",
        "cmp \\row, #0",
        "it eq",
        "moveq r1, r2",
        "orr r1, r1, #1",
        "str r1, [sp, #\\entry]",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        // 0: rows, 12: entries, 24: the accumulators' end, 32: zeros, 64: the weights' addresses, 80: rounds, 84: step.
        "sub sp, #92",
        "ldm.w r0!, {{r4, r6, r10}}",
        "strd r4, r6, [sp]",
        "str.w r10, [sp, #8]",
        "ldm.w r0!, {{r3, r7, r12}}",
        "str.w r12, [sp, #24]",
        "ldm.w r0!, {{r5, r8, r9, r12}}",
        "strd r8, r12, [sp, #80]",
        "vldrw.u32 q7, [r0]",
        "vstrw.32 q7, [sp, #64]",
        "vmov.i32 q6, #0",
        "vstrw.32 q6, [sp, #32]",
        "vstrw.32 q6, [sp, #48]",
        "NM_ENTRY 3, 4, 5, r4, 12",
        "NM_ENTRY 6, 7, 8, r6, 16",
        "NM_ENTRY 9, 10, 11, r10, 20",
        "mov.w r11, #0",
        "2:",
        "vldrw.u32 q7, [sp, #64]",
        "add r1, sp, #32",
        "ldm.w r1, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "NM_ROW 3, 4, 5, 0, 12",
        "NM_ROW 6, 7, 8, 4, 16",
        "NM_ROW 9, 10, 11, 8, 20",
        "stm.w r3!, {{r0, r2, r4, r6}}",
        "stm.w r7!, {{r8, r10, r12, lr}}",
        "add.w r11, r11, #64",
        "ldr r1, [sp, #24]",
        "cmp r3, r1",
        "bne.w 2b",
        "add sp, #92",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem NM_GROUP",
        ".purgem NM_ROW",
        ".purgem NM_ENTRY",
    )
}
