//! Dot products of matrix-vector layers, in 64 bits.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::portable;

/// Gives the same result as [`portable::dot_i16`].
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    let len = weights.len().min(x.len());
    let whole = len - len % 8;
    if whole == 0 || !aligned(weights) || !aligned(x) {
        return portable::dot_i16(weights, x);
    }
    let tail = portable::dot_i16(weights.get(whole..).unwrap_or_default(), x.get(whole..).unwrap_or_default());
    let range = weights.as_ptr();
    // SAFETY: both have `whole` values, a multiple of 8 above 0, at addresses that are multiples of 4.
    tail + unsafe { sum_i16(range, range.wrapping_add(whole), x.as_ptr()) }
}

/// # Safety
/// From `weights` to `end` there is a multiple of 8 values above 0, and as many from `x` on; both begin at multiples of 4.
#[unsafe(naked)]
unsafe extern "C" fn sum_i16(weights: *const i16, end: *const i16, x: *const i16) -> i64 {
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "movs r3, #0",
        "mov.w r12, #0",
        "2:",
        "ldm.w r0!, {{r4, r5, r6, r7}}",
        "ldm.w r2!, {{r8, r9, r10, r11}}",
        "smlald r3, r12, r4, r8",
        "smlald r3, r12, r5, r9",
        "smlald r3, r12, r6, r10",
        "smlald r3, r12, r7, r11",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r3",
        "mov r1, r12",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Gives the same result as [`portable::dot_i8_wide`].
pub fn dot_i8_wide(weights: &[i8], x: &[i16]) -> i64 {
    let len = weights.len().min(x.len());
    let whole = len - len % 8;
    if whole == 0 || !aligned(weights) || !aligned(x) {
        return portable::dot_i8_wide(weights, x);
    }
    let tail = portable::dot_i8_wide(weights.get(whole..).unwrap_or_default(), x.get(whole..).unwrap_or_default());
    let range = weights.as_ptr();
    // SAFETY: both have `whole` values, a multiple of 8 above 0, at addresses that are multiples of 4.
    tail + unsafe { sum_i8(range, range.wrapping_add(whole), x.as_ptr()) }
}

/// # Safety
/// From `weights` to `end` there is a multiple of 8 values above 0, and as many from `x` on; both begin at multiples of 4.
#[unsafe(naked)]
unsafe extern "C" fn sum_i8(weights: *const i8, end: *const i8, x: *const i16) -> i64 {
    // SXTB16 takes every second one of four weights, so the pixels are paired in the same way.
    naked_asm!(
        cpu!(),
        ".macro ND_FOUR w, a, b",
        "pkhbt lr, \\a, \\b, lsl #16",
        "pkhtb \\b, \\b, \\a, asr #16",
        "sxtb16 \\a, \\w",
        "sxtb16 \\w, \\w, ror #8",
        "smlald r3, r12, \\a, lr",
        "smlald r3, r12, \\w, \\b",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, lr}}",
        "movs r3, #0",
        "mov.w r12, #0",
        "2:",
        "ldm.w r0!, {{r4, r5}}",
        "ldm.w r2!, {{r6, r7, r8, r9}}",
        "ND_FOUR r4, r6, r7",
        "ND_FOUR r5, r8, r9",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r3",
        "mov r1, r12",
        "pop.w {{r4, r5, r6, r7, r8, r9, pc}}",
        ".purgem ND_FOUR",
    )
}
