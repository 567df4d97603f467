//! Dot products of matrix-vector layers, in 64 bits.

use core::arch::naked_asm;

/// Gives the same result as [`portable::dot_i16`](crate::kernel::portable::dot_i16).
pub fn dot_i16(weights: &[i16], x: &[i16]) -> i64 {
    let len = weights.len().min(x.len());
    // SAFETY: both have `len` values.
    unsafe { sum_i16(weights.as_ptr(), x.as_ptr(), len) }
}

/// Gives the same result as [`portable::dot_i8_wide`](crate::kernel::portable::dot_i8_wide).
pub fn dot_i8_wide(weights: &[i8], x: &[i16]) -> i64 {
    let len = weights.len().min(x.len());
    // SAFETY: both have `len` values.
    unsafe { sum_i8(weights.as_ptr(), x.as_ptr(), len) }
}

/// # Safety
/// Both pointers have `len` values, at their own alignment.
#[unsafe(naked)]
unsafe extern "C" fn sum_i16(weights: *const i16, x: *const i16, len: usize) -> i64 {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "mov r3, r0",
        "mov r12, r1",
        "movs r0, #0",
        "movs r1, #0",
        "wlstp.16 lr, r2, 3f",
        "2:",
        "vldrh.u16 q0, [r3], #16",
        "vldrh.u16 q1, [r12], #16",
        "vmlaldava.s16 r0, r1, q0, q1",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// # Safety
/// Both pointers have `len` values, at their own alignment.
#[unsafe(naked)]
unsafe extern "C" fn sum_i8(weights: *const i8, x: *const i16, len: usize) -> i64 {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "mov r3, r0",
        "mov r12, r1",
        "movs r0, #0",
        "movs r1, #0",
        "wlstp.16 lr, r2, 3f",
        "2:",
        "vldrb.s16 q0, [r3], #8",
        "vldrh.u16 q1, [r12], #16",
        "vmlaldava.s16 r0, r1, q0, q1",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}
