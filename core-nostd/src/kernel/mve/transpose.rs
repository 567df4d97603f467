//! Transposed convolutions: 2 input pixels, which make 4 columns, of two output channels at a time.

use core::arch::naked_asm;
use core::ptr;

use super::{Groups, LANES, usual};
use crate::kernel::layout::{middle_len, pair_len};
use crate::kernel::rows::{Work, pair};

/// Groups of channels in one round of the loop.
const UNROLLED: usize = 4;
/// Bytes of code for one group: 25 instructions of 4 bytes.
const STEP: usize = 100;

/// Arguments of [`pairs`], laid out as its stack frame.
#[repr(C)]
struct Frame {
    /// The zeros before the first pixel of each row; null for an absent row.
    rows: [*const i16; 2],
    /// The address where each row's code is entered; [`pairs`] computes it.
    entries: [usize; 2],
    /// Addresses of the first group's weights for each row, minus the step from one group to the next.
    weights: [[*const i8; 4]; 2],
    zeros: [i32; 8],
    /// Bytes from the last group's weights to where they would be if that group were full.
    step: isize,
    /// Rounds of the loop over all groups except the last.
    rounds: usize,
    /// Bytes of code that the loop's first round skips.
    entry: usize,
    /// Bytes from one group's pixels to the next group's.
    stride: usize,
    /// Where the first output's accumulators of column 0 and of the last column lie.
    acc: *mut i32,
    acc_end: *mut i32,
    /// Where the second output's accumulators of column 0 lie.
    acc_second: *mut i32,
    /// Bytes of weights from one pair of outputs to the next.
    pair: usize,
    requants: *const [i32; 2],
    out: *mut i16,
    outputs: usize,
    /// Number of vectors of 4 columns.
    vectors: usize,
    /// Number of groups except the last.
    looped: usize,
    unused: [usize; 3],
}

/// Gives the same result as [`rows::transposed3x3_row`](crate::kernel::rows::transposed3x3_row). `rows` are the input
/// rows inside the image, each with its tap row.
pub fn transposed3x3_row(
    rows: &[(&[i16], usize)],
    width: usize,
    inputs: usize,
    weights: &[i8],
    requants: &[[i32; 2]],
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let (len, columns, outputs) = (pair_len(inputs), middle_len(width), requants.len());
    let groups = Groups::new(inputs.div_ceil(2));
    let plane = LANES * (width + 2);
    let usable = (1..=2).contains(&rows.len())
        && rows.iter().all(|&(row, tap)| row.len() == groups.count * plane && tap < 3)
        && outputs > 0
        && inputs > 0
        && width > 0
        && width.is_multiple_of(2)
        && weights.len() == outputs.div_ceil(2) * len
        && weights.as_ptr().addr().is_multiple_of(4)
        && out.len() == outputs * columns
        && requants.iter().all(usual);
    let (true, Some(acc)) = (usable, work.acc.get_mut(..2 * columns)) else {
        return pair::transposed3x3_row(rows, width, inputs, weights, requants, work, out);
    };
    // Column -1 and the two after the last stay 0.
    for acc in acc.chunks_exact_mut(columns) {
        if let [first, .., before_last, last] = acc {
            (*first, *before_last, *last) = (0, 0, 0);
        }
    }
    let (rounds, entry) = groups.rounds(UNROLLED, STEP);
    let acc = acc.as_mut_ptr().wrapping_add(1);
    let mut frame = Frame {
        rows: [ptr::null(); 2],
        entries: [0; 2],
        weights: [[ptr::null(); 4]; 2],
        zeros: [0; 8],
        step: groups.step,
        rounds,
        entry,
        stride: 2 * plane,
        acc,
        acc_end: acc.wrapping_add(2 * width),
        acc_second: acc.wrapping_add(columns),
        pair: len,
        requants: requants.as_ptr(),
        out: out.as_mut_ptr(),
        outputs,
        vectors: columns / 4,
        looped: groups.count - 1,
        unused: [0; 3],
    };
    for ((to, addresses), &(row, tap)) in frame.rows.iter_mut().zip(&mut frame.weights).zip(rows) {
        *to = row.as_ptr();
        *addresses = groups.addresses(weights.as_ptr().wrapping_add(tap * len / 3));
    }
    // SAFETY: every row has all groups of width + 2 pixels, of which the tile at pixel x reads x .. x + 3, and x + 3 is at most
    // the width + 2; the weights' addresses stay within each pair's tap row; each output has `columns` accumulators, a multiple
    // of 4 with one before the first column and two behind the last, a requantisation, and `columns` values of `out`.
    unsafe { pairs(&frame) }
}

/// # Safety
/// The arguments meet the conditions that [`transposed3x3_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn pairs(frame: &Frame) {
    // r0, r2, r4, r6 accumulate 4 columns of one output, r8, r10, r12, lr those of the other. r1 is x, r5 the stride, r9 the
    // rounds, r3 and r7 the accumulators' places, r11 bytes of pixels done. q0 .. q2 are three columns' weights of one output,
    // q3 .. q5 of the other, q6 a pixel, q7 the weights' addresses. Pixel x adds to columns 2x, 2x + 1 and 2x + 2.
    naked_asm!(
        cpu!(),
        ".macro NM_GROUP",
        "vldrw.u32 q0, [q7, #48]!",
        "vldrw.u32 q1, [q7, #4]",
        "vldrw.u32 q2, [q7, #8]",
        "vldrh.u16 q6, [r1]",
        "vmovlt.s8 q5, q2",
        "vmovlb.s8 q2, q2",
        "vmladava.s16 r8, q6, q5",
        "vmladava.s16 r0, q6, q2",
        "vldrh.u16 q6, [r1, #16]",
        "vmovlt.s8 q3, q0",
        "vmovlb.s8 q0, q0",
        "vmladava.s16 r12, q6, q5",
        "vmladava.s16 r8, q6, q3",
        "vmladava.s16 r4, q6, q2",
        "vmladava.s16 r0, q6, q0",
        "vmovlt.s8 q4, q1",
        "vmovlb.s8 q1, q1",
        "vmladava.s16 r10, q6, q4",
        "vmladava.s16 r2, q6, q1",
        "vldrh.u16 q6, [r1, #32]",
        "vmladava.s16 r12, q6, q3",
        "vmladava.s16 lr, q6, q4",
        "vmladava.s16 r4, q6, q0",
        "vmladava.s16 r6, q6, q1",
        ".endm",
        // One row. The entry lies after the row's code if there is no row, and after its loop if there is only one
        // group.
        ".macro NM_ROW loop, last, behind, row, weights, entry",
        "vldrw.u32 q7, [sp, #\\weights]",
        "ldr r1, [sp, #\\row]",
        "ldr.w r9, [sp, #84]",
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
        "ldr.w r9, [sp, #80]",
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
        "ldr r3, [sp, #\\row]",
        "cmp r3, #0",
        "it eq",
        "moveq r1, r2",
        "orr r1, r1, #1",
        "str r1, [sp, #\\entry]",
        ".endm",
        // The last column has the last pixel's third tap.
        ".macro NM_LAST",
        "vldrw.u32 q0, [q7, #48]!",
        "vldrh.u16 q6, [r1]",
        "vmovlt.s8 q1, q0",
        "vmovlb.s8 q0, q0",
        "vmladava.s16 r8, q6, q1",
        "vmladava.s16 r0, q6, q0",
        ".endm",
        ".macro NM_LAST_OF loop, last, behind, row, weights",
        "ldr r1, [sp, #\\row]",
        "cmp r1, #0",
        "beq \\behind\\()f",
        "add r1, r11",
        "vldrw.u32 q7, [sp, #\\weights]",
        "vadd.i32 q7, q7, r10",
        "wls lr, r6, \\last\\()f",
        "\\loop:",
        "NM_LAST",
        "add r1, r5",
        "le lr, \\loop\\()b",
        "\\last:",
        "vadd.i32 q7, q7, r9",
        "NM_LAST",
        "\\behind:",
        ".endm",
        ".macro NM_NEXT weights",
        "vldrw.u32 q7, [sp, #\\weights]",
        "vadd.i32 q7, q7, r1",
        "vstrw.32 q7, [sp, #\\weights]",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        // 0: rows, 8: entries, 16 and 32: the weights' addresses, 48: zeros, 80: step, 84: rounds, 88: entry, 92: stride,
        // 96: accumulators, 100: their last column, 104: the second ones, 108: a pair's bytes, 112: requantisations, 116: out,
        // 120: outputs, 124: vectors, 128: groups but the last.
        "sub sp, #148",
        ".irp at, 0, 16, 32, 48, 64, 80, 96, 112, 128",
        "vldrw.u32 q0, [r0, #\\at]",
        "vstrw.32 q0, [sp, #\\at]",
        ".endr",
        "ldrd r9, r5, [sp, #88]",
        "ldr.w r8, [sp, #84]",
        "NM_ENTRY 3, 4, 5, 0, 8",
        "NM_ENTRY 6, 7, 8, 4, 12",
        "1:",
        "ldr r3, [sp, #96]",
        "ldr r7, [sp, #104]",
        "mov.w r11, #0",
        "2:",
        "add r1, sp, #48",
        "ldm.w r1, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "NM_ROW 3, 4, 5, 0, 16, 8",
        "NM_ROW 6, 7, 8, 4, 32, 12",
        "stm.w r3!, {{r0, r2, r4, r6}}",
        "stm.w r7!, {{r8, r10, r12, lr}}",
        "add.w r11, r11, #32",
        "ldr r1, [sp, #100]",
        "cmp r3, r1",
        "bne.w 2b",
        "movs r0, #0",
        "mov.w r8, #0",
        "mov.w r10, #8",
        "ldr r6, [sp, #128]",
        "ldr.w r9, [sp, #80]",
        "NM_LAST_OF 9, 10, 11, 0, 16",
        "NM_LAST_OF 12, 13, 14, 4, 32",
        "str r0, [r3]",
        "str.w r8, [r7]",
        "ldr r1, [sp, #108]",
        "NM_NEXT 16",
        "NM_NEXT 32",
        // r0 accumulators, r2 out, r3 requantisations, r4 a multiplier, r6 its shift and r9 the same to the left, r10 doublings,
        // r11 outputs, r12 and lr vectors; q0 values, q2 the multiplier, q3 the smallest value.
        "ldr r0, [sp, #96]",
        "subs r0, #4",
        "ldrd r3, r2, [sp, #112]",
        "ldrd r11, r12, [sp, #120]",
        "movw r1, #0x8001",
        "vdup.16 q3, r1",
        "15:",
        "ldrd r4, r6, [r3], #8",
        "vdup.32 q2, r4",
        "rsb r9, r6, #32",
        "rsbs r10, r6, #33",
        "it lt",
        "movlt r10, #0",
        "cmp r6, #33",
        "it lt",
        "mvnlt r9, #0",
        "dls lr, r12",
        "16:",
        "vldrw.u32 q0, [r0], #16",
        "vqshl.s32 q0, r10",
        "vmulh.s32 q0, q0, q2",
        "vrshl.s32 q0, r9",
        "vqmovnb.s32 q0, q0",
        "vmax.s16 q0, q0, q3",
        "vstrh.32 q0, [r2], #8",
        "le lr, 16b",
        "subs.w r11, r11, #1",
        "beq 17f",
        "ldr r1, [sp, #104]",
        "subs r1, #4",
        "cmp r0, r1",
        "beq 15b",
        "strd r3, r2, [sp, #112]",
        "str.w r11, [sp, #120]",
        "b.w 1b",
        "17:",
        "add sp, #148",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem NM_GROUP",
        ".purgem NM_ROW",
        ".purgem NM_ENTRY",
        ".purgem NM_LAST",
        ".purgem NM_LAST_OF",
        ".purgem NM_NEXT",
    )
}
