//! Turns random words into scaled normal variates, 4 at a time.

use core::arch::naked_asm;

use crate::kernel::{portable, quantile_table};

/// Arguments of [`values`].
#[repr(C)]
struct Values {
    words: *mut i32,
    /// The table of magnitudes.
    table: *const i16,
    before: u32,
    multiplier: i32,
    /// Left shift; a negative value shifts right and rounds.
    shift: i32,
    count: usize,
}

/// Gives the same result as [`portable::normal_row`].
pub fn normal_row(words: &mut [i32], before: u32, multiplier: i32, shift: u32) {
    let whole = words.len() - words.len() % 4;
    let (words, rest) = words.split_at_mut(whole);
    if !words.is_empty() {
        let (table, shift, count) = (quantile_table().as_ptr(), -(shift as i32), whole / 4);
        // SAFETY: there are `count` times 4 words, at least 4; a word's place in the table, and the next one, are within its 513
        // entries, as `quantile` has it.
        unsafe { values(&Values { words: words.as_mut_ptr(), table, before, multiplier, shift, count }) }
    }
    portable::normal_row(rest, before, multiplier, shift);
}

/// # Safety
/// The arguments meet the conditions that [`normal_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn values(arguments: &Values) {
    // r0 words, r1 the table and r2 its second entry, r3 the multiplier, r4 the shift before it and r5 the one behind, r6 an
    // offset, lr vectors; q0 words, q1 them with their highest bit at the top and then the fraction, q2 leading zeros, q3 places
    // in the table, q4 and q5 what is there, q6 the multiplier. The place is 16 * (31 - zeros) + the four bits below the top.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13}}",
        "ldm.w r0, {{r0, r1, r2, r3, r5, lr}}",
        "mov r4, r2",
        "adds r2, r1, #2",
        "vdup.32 q6, r3",
        "mov.w r6, #480",
        "dls lr, lr",
        "2:",
        "vldrw.u32 q0, [r0]",
        "vshl.i32 q1, q0, #1",
        "vorr.i32 q1, #1",
        "vclz.i32 q2, q1",
        "vshl.u32 q1, q1, q2",
        "vshr.u32 q3, q1, #27",
        "vshl.i32 q2, q2, #4",
        "vsub.i32 q3, q3, q2",
        "vadd.i32 q3, q3, r6",
        "vldrh.u32 q4, [r1, q3, uxtw #1]",
        "vldrh.u32 q5, [r2, q3, uxtw #1]",
        "vshr.u32 q1, q1, #11",
        "vmovlb.u16 q1, q1",
        "vsub.i32 q5, q5, q4",
        "vmul.i32 q5, q5, q1",
        "vrshr.s32 q5, q5, #16",
        "vadd.i32 q4, q4, q5",
        "vpt.s32 lt, q0, zr",
        "vnegt.s32 q4, q4",
        "vshl.s32 q4, r4",
        "vmulh.s32 q4, q4, q6",
        "vrshl.s32 q4, r5",
        "vstrw.32 q4, [r0], #16",
        "le lr, 2b",
        "vpop {{d8, d9, d10, d11, d12, d13}}",
        "pop.w {{r4, r5, r6, pc}}",
    )
}
