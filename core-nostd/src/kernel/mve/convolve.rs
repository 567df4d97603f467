//! 3x3 convolutions, 4 pixels of two output channels at a time, and the activation of the finished row.

use core::arch::naked_asm;
use core::ptr;

use super::{Groups, LANES, plain, usual};
use crate::kernel::finish::Activation;
use crate::kernel::layout::pair_len;
use crate::kernel::rows::{Work, pair};

/// Groups of channels in one round of the loop.
const UNROLLED: usize = 4;
/// Bytes of code for one group: 40 instructions of 4 bytes.
const STEP: usize = 160;
/// 0.2 as a fraction of 2^32, the leaky ReLU's slope.
const SLOPE: i32 = 0x3333_3333;

/// Arguments of [`pairs`], laid out as its stack frame.
#[repr(C)]
struct Frame {
    /// The first window of each row; null for an absent row.
    rows: [*const i16; 3],
    /// The address where each row's code is entered; [`pairs`] computes it.
    entries: [usize; 3],
    /// The end of the first output's accumulators.
    acc_end: *const i32,
    /// The first output's accumulators.
    acc: *mut i32,
    zeros: [i32; 8],
    /// Addresses of the first group's weights, minus the step from one group to the next.
    weights: [*const i8; 4],
    /// Rounds of the loop over all groups except the last.
    rounds: usize,
    /// Bytes from the last group's weights to where they would be if that group were full.
    step: isize,
    /// The second output's accumulators.
    acc_second: *mut i32,
    /// Bytes of weights from one pair of outputs to the next.
    pair: usize,
    requants: *const [i32; 2],
    biases: *const i32,
    noise: *const i32,
    out: *mut i16,
    /// Output channels of the layer; 0 to make only the accumulators of one pair.
    outputs: usize,
    /// Number of vectors of 4 pixels.
    vectors: usize,
    /// Bytes of code that the loop's first round skips.
    entry: usize,
    /// Bytes from one group's window to the next group's.
    stride: usize,
    slope: [i32; 4],
    limit: [i16; 8],
}

impl Frame {
    /// Arguments for the accumulators of one pair of outputs at columns `first ..`; `None` for a width or length that
    /// the loop does not take.
    fn new(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) -> Option<Self> {
        let [a, b] = acc;
        let (len, share) = (a.len(), weights.len() / rows.len().max(1));
        let groups = Groups::new(share / 12);
        let plane = LANES * (width + 2);
        let fits = rows.iter().all(|row| row.len() == groups.count * plane) && first + len <= width && b.len() == len;
        let whole = len > 0 && len.is_multiple_of(4) && share > 0 && share.is_multiple_of(12);
        let aligned = weights.as_ptr().addr().is_multiple_of(4);
        if !fits || !whole || !aligned || !(1..=3).contains(&rows.len()) || weights.len() != rows.len() * share {
            return None;
        }
        let range = a.as_mut_ptr_range();
        let (rounds, entry) = groups.rounds(UNROLLED, STEP);
        let mut frame = Self {
            rows: [ptr::null(); 3],
            entries: [0; 3],
            acc_end: range.end,
            acc: range.start,
            zeros: [0; 8],
            weights: groups.addresses(weights.as_ptr()),
            rounds,
            step: groups.step,
            acc_second: b.as_mut_ptr(),
            pair: 0,
            requants: ptr::null(),
            biases: ptr::null(),
            noise: ptr::null(),
            out: ptr::null_mut(),
            outputs: 0,
            vectors: len / 4,
            entry,
            stride: 2 * plane,
            slope: [SLOPE; 4],
            limit: [0; 8],
        };
        for (to, row) in frame.rows.iter_mut().zip(rows) {
            *to = row.as_ptr().wrapping_add(LANES * first);
        }
        Some(frame)
    }
}

/// Gives the same result as [`portable::correlate_pair`](crate::kernel::portable::correlate_pair), for this processor's
/// layout of modulated rows.
pub fn correlate_pair(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    let [a, b] = acc;
    match Frame::new(rows, weights, width, first, [&mut *a, &mut *b]) {
        // SAFETY: every row has all groups of width + 2 pixels, of which the tile at pixel x reads x .. x + 6, and x + 4 is at
        // most the width; the weights' addresses stay within a share for each row; both accumulators have as many words, a
        // multiple of 4.
        Some(frame) => unsafe { pairs(&frame) },
        None => plain::correlate_pair(rows, weights, width, first, [a, b]),
    }
}

/// Gives the same result as [`rows::conv3x3_row`](crate::kernel::rows::conv3x3_row). `present` are the rows inside the
/// image; the first of them meets tap row `first`.
#[allow(clippy::too_many_arguments)]
pub fn conv3x3_row(
    present: &[&[i16]],
    first: usize,
    width: usize,
    inputs: usize,
    weights: &[i8],
    finish: Activation<'_>,
    work: &mut Work<'_>,
    out: &mut [i16],
) {
    let Activation { requants, biases, noise, limit } = finish;
    let (len, share) = (pair_len(inputs), pair_len(inputs) / 3);
    let (outputs, taps) = (requants.len(), weights.get(first * share..(first + present.len()) * share));
    let usable = outputs > 0
        && weights.len() == outputs.div_ceil(2) * len
        && biases.len() == outputs
        && noise.len() >= width
        && out.len() == outputs * width
        && requants.iter().all(usual);
    let acc = work.acc.get_mut(..2 * width).and_then(|acc| acc.split_at_mut_checked(width));
    let (true, Some(taps), Some((a, b))) = (usable, taps, acc) else {
        return pair::conv3x3_row(present, first, width, inputs, weights, finish, work, out);
    };
    let Some(frame) = Frame::new(present, taps, width, 0, [a, b]) else {
        return pair::conv3x3_row(present, first, width, inputs, weights, finish, work, out);
    };
    let (requants, biases, noise, out) = (requants.as_ptr(), biases.as_ptr(), noise.as_ptr(), out.as_mut_ptr());
    let frame = Frame { pair: len, requants, biases, noise, out, outputs, limit: [limit; 8], ..frame };
    // SAFETY: as in `correlate_pair`, for each of the weights' pairs, `len` bytes apart; the second output's accumulators lie
    // behind the first one's; every output has a requantisation, a bias, and `width` values of `out`; noise has the width too.
    unsafe { pairs(&frame) }
}

/// # Safety
/// The arguments meet the conditions that [`correlate_pair`] and [`conv3x3_row`] check.
#[unsafe(naked)]
unsafe extern "C" fn pairs(frame: &Frame) {
    // r0, r2, r4, r6 accumulate 4 pixels of one output, r8, r10, r12, lr those of the other. r1 is x, r5 the stride, r9 the
    // rounds, r3 and r7 the accumulators' places, r11 bytes of pixels done. q0 .. q2 are three columns' weights of one output,
    // q3 .. q5 of the other, q6 a pixel, q7 the weights' addresses: each has 2 channels and both outputs of a column.
    //
    // Of a row of accumulators: r0 are they, r1 noise, r2 out, r3 requantisations, r4 a multiplier, r6 its shift and r9 the same
    // to the left, r7 biases, r8 one, r10 doublings, lr vectors; q0 values, q1 noise and then a fifth of the values, q2 the
    // multiplier, q3 the leaky ReLU's slope, q4 and q5 the limits.
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
        // One row. The entry lies after the row's code if there is no row, and after its loop if there is only one
        // group.
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
        // The address that a row's entry has: behind its loop without rounds, behind all of it without a row.
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
        // Bias, noise, leaky ReLU, rounding and limit.
        ".macro NM_ACTIVATE",
        "vldrw.u32 q1, [r1], #16",
        "vadd.i32 q0, q0, r8",
        "vadd.i32 q0, q0, q1",
        // The larger of a value and its fifth.
        "vrmulh.s32 q1, q0, q3",
        "vmax.s32 q0, q0, q1",
        "vqrshrnb.s32 q0, q0, #8",
        "vmin.s16 q0, q0, q4",
        "vmax.s16 q0, q0, q5",
        "vstrh.32 q0, [r2], #8",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        // 0: rows, 12: entries, 24: the accumulators' end, 28: their start, 32: zeros, 64: the weights' addresses, 80: rounds,
        // 84: step, 88: the second accumulators, 92: a pair's bytes, 96: requantisations, 100: biases, 104: noise, 108: out,
        // 112: outputs, 116: vectors, 120: entry, 124: stride, 128: slope, 144: limit.
        "sub sp, #164",
        ".irp at, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144",
        "vldrw.u32 q0, [r0, #\\at]",
        "vstrw.32 q0, [sp, #\\at]",
        ".endr",
        "ldrd r9, r5, [sp, #120]",
        "ldr.w r8, [sp, #80]",
        "NM_ENTRY 3, 4, 5, 0, 12",
        "NM_ENTRY 6, 7, 8, 4, 16",
        "NM_ENTRY 9, 10, 11, 8, 20",
        "1:",
        "ldr r3, [sp, #28]",
        "ldr r7, [sp, #88]",
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
        // The next pair's weights.
        "ldrd r11, r12, [sp, #112]",
        "cmp.w r11, #0",
        "beq 17f",
        "vldrw.u32 q7, [sp, #64]",
        "ldr r0, [sp, #92]",
        "vadd.i32 q7, q7, r0",
        "vstrw.32 q7, [sp, #64]",
        "ldr r0, [sp, #28]",
        "ldr r2, [sp, #108]",
        "ldr r3, [sp, #96]",
        "ldr r7, [sp, #100]",
        "vldrw.u32 q3, [sp, #128]",
        "vldrw.u32 q4, [sp, #144]",
        "vneg.s16 q5, q4",
        "12:",
        "ldr r1, [sp, #104]",
        "ldrd r4, r6, [r3], #8",
        "ldr.w r8, [r7], #4",
        "vdup.32 q2, r4",
        "rsb r9, r6, #32",
        "cmp r6, #35",
        "blt 14f",
        // A shift of 3 or more leaves 29 bits.
        "dls lr, r12",
        "13:",
        "vldrw.u32 q0, [r0], #16",
        "vmulh.s32 q0, q0, q2",
        "vrshl.s32 q0, r9",
        "NM_ACTIVATE",
        "le lr, 13b",
        "16:",
        "subs.w r11, r11, #1",
        "beq 17f",
        "ldr r1, [sp, #88]",
        "cmp r0, r1",
        "beq 12b",
        "str r2, [sp, #108]",
        "str r3, [sp, #96]",
        "str r7, [sp, #100]",
        "str.w r11, [sp, #112]",
        "b.w 1b",
        "14:",
        "rsbs r10, r6, #33",
        "it lt",
        "movlt r10, #0",
        "cmp r6, #33",
        "it lt",
        "mvnlt r9, #0",
        "dls lr, r12",
        "15:",
        "vldrw.u32 q0, [r0], #16",
        "vqshl.s32 q0, r10",
        "vmulh.s32 q0, q0, q2",
        "vrshl.s32 q0, r9",
        "vqshl.s32 q0, q0, #3",
        "vshr.s32 q0, q0, #3",
        "NM_ACTIVATE",
        "le lr, 15b",
        "b 16b",
        "17:",
        "add sp, #164",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem NM_GROUP",
        ".purgem NM_ROW",
        ".purgem NM_ENTRY",
        ".purgem NM_ACTIVATE",
    )
}
