//! Requantises accumulators to 16-bit values.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::finish::RequantPlan;
use crate::kernel::portable;

/// Arguments of [`activate`].
#[repr(C)]
struct Activate {
    acc: *const i32,
    noise: *const i32,
    out: *mut i16,
    multiplier: i32,
    half: i32,
    shift: u32,
    bias: i32,
    /// The largest output twice in one word, then the smallest twice.
    limits: [i16; 4],
    out_end: *mut i16,
}

/// Gives the same result as [`portable::activate_row`].
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    let len = out.len();
    let usable = len > 0 && len.is_multiple_of(4) && acc.len() >= len && noise.len() >= len && aligned(out);
    let (RequantPlan::HighWord { multiplier, doublings, shift }, true) = (scale, usable) else {
        return portable::activate_row(acc, noise, scale, bias, limit, out);
    };
    let range = out.as_mut_ptr_range();
    let arguments = Activate {
        acc: acc.as_ptr(),
        noise: noise.as_ptr(),
        out: range.start,
        multiplier,
        half: (1 << shift) >> 1,
        shift,
        bias,
        limits: [limit, limit, -limit, -limit],
        out_end: range.end,
    };
    // SAFETY: `acc` and `noise` have as many words as `out` has values, a multiple of 4.
    unsafe {
        match doublings {
            0 => activate::<0>(&arguments),
            1 => activate::<1>(&arguments),
            2 => activate::<2>(&arguments),
            3 => activate::<3>(&arguments),
            4 => activate::<4>(&arguments),
            _ => activate::<{ RequantPlan::MAX_DOUBLINGS }>(&arguments),
        }
    }
}

/// # Safety
/// The arguments meet the conditions that [`activate_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn activate<const DOUBLINGS: u32>(arguments: &Activate) {
    // r1 accumulators, r2 noise, r3 out, r5 multiplier, r6 half, r7 shift, r8 bias, r9 and r10 the limits, r11 the leaky
    // ReLU's slope; r0, r12 two values, r4, lr their noise.
    naked_asm!(
        cpu!(),
        ".macro ND_TWO",
        "ldrd r0, r12, [r1], #8",
        "ldrd r4, lr, [r2], #8",
        ".rept {doublings}",
        "qadd r0, r0, r0",
        "qadd r12, r12, r12",
        ".endr",
        "smmla r0, r0, r5, r6",
        "smmla r12, r12, r5, r6",
        "asr.w r0, r0, r7",
        "asr.w r12, r12, r7",
        "ssat r0, #29, r0",
        "ssat r12, #29, r12",
        "add.w r0, r0, r8",
        "adds.w r0, r0, r4",
        "it mi",
        "smmulrmi r0, r0, r11",
        "add.w r12, r12, r8",
        "adds.w r12, r12, lr",
        "it mi",
        "smmulrmi r12, r12, r11",
        "add.w r0, r0, #128",
        "add.w r12, r12, #128",
        "ssat r0, #16, r0, asr #8",
        "ssat r12, #16, r12, asr #8",
        "pkhbt r0, r0, r12, lsl #16",
        "ssub16 r4, r9, r0",
        "sel r0, r0, r9",
        "ssub16 r4, r0, r10",
        "sel r0, r0, r10",
        "str r0, [r3], #4",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #4",
        "mov r12, r0",
        "ldm.w r12!, {{r1, r2, r3, r5, r6, r7, r8, r9, r10}}",
        "ldr.w r0, [r12]",
        "str r0, [sp]",
        "movw r11, #0x3333",
        "movt r11, #0x3333",
        "2:",
        "ND_TWO",
        "ND_TWO",
        "ldr r0, [sp]",
        "cmp r3, r0",
        "bne 2b",
        "add sp, #4",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_TWO",
        doublings = const DOUBLINGS,
    )
}

/// Arguments of [`requantise`].
#[repr(C)]
struct Requantise {
    acc: *const i32,
    out: *mut i16,
    out_end: *mut i16,
    multiplier: i32,
    half: i32,
    shift: u32,
}

/// Gives the same result as [`portable::requantise_row`].
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    let len = out.len();
    let usable = len > 0 && len.is_multiple_of(4) && acc.len() >= len && aligned(out);
    let (RequantPlan::HighWord { multiplier, doublings: 0, shift }, true) = (scale, usable) else {
        return portable::requantise_row(acc, scale, out);
    };
    let range = out.as_mut_ptr_range();
    let half = (1 << shift) >> 1;
    let arguments = Requantise { acc: acc.as_ptr(), out: range.start, out_end: range.end, multiplier, half, shift };
    // SAFETY: `acc` has as many words as `out` has values, a multiple of 4.
    unsafe { requantise(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`requantise_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn requantise(arguments: &Requantise) {
    naked_asm!(
        cpu!(),
        ".macro ND_ONE value",
        "smmla \\value, \\value, r4, r5",
        "asr.w \\value, \\value, r6",
        "ssat \\value, #16, \\value",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0, {{r1, r2, r3, r4, r5, r6}}",
        "movs r7, #0",
        "2:",
        "ldm.w r1!, {{r8, r9, r10, r11}}",
        "ND_ONE r8",
        "ND_ONE r9",
        "ND_ONE r10",
        "ND_ONE r11",
        "pkhbt r8, r8, r9, lsl #16",
        "pkhbt r10, r10, r11, lsl #16",
        // Negated twice with saturation, -32768 becomes -32767.
        "qsub16 r8, r7, r8",
        "qsub16 r10, r7, r10",
        "qsub16 r8, r7, r8",
        "qsub16 r10, r7, r10",
        "strd r8, r10, [r2], #8",
        "cmp r2, r3",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_ONE",
    )
}
