//! Copies and clears values, 16 bytes at a time.

use core::arch::naked_asm;

/// Gives the same result as [`portable::copy_row`](crate::kernel::portable::copy_row).
pub fn copy_row(from: &[i16], to: &mut [i16]) {
    // SAFETY: both slices have at least that many values, and they do not overlap.
    unsafe { copy(from.as_ptr(), to.as_mut_ptr(), from.len().min(to.len())) }
}

/// # Safety
/// `len` values can be read and written.
#[unsafe(naked)]
unsafe extern "C" fn copy(from: *const i16, to: *mut i16, len: usize) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "wlstp.16 lr, r2, 3f",
        "2:",
        "vldrh.u16 q0, [r0], #16",
        "vstrh.16 q0, [r1], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// Fills values with zeros.
pub fn clear(values: &mut [i16]) {
    // SAFETY: the slice has that many values.
    unsafe { zero(values.as_mut_ptr(), values.len()) }
}

/// # Safety
/// `len` values can be written.
#[unsafe(naked)]
unsafe extern "C" fn zero(values: *mut i16, len: usize) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "vmov.i32 q0, #0",
        "wlstp.16 lr, r1, 3f",
        "2:",
        "vstrh.16 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}
