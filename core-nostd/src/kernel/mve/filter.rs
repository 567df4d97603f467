//! The separable filter `[1, 3, 3, 1]`.

use core::arch::naked_asm;

use crate::kernel::portable;

/// Arguments of [`down`].
#[repr(C)]
struct Down {
    rows: [*const i16; 4],
    columns: *mut i32,
    /// The taps of the four rows; 0 for an absent row.
    taps: [i32; 4],
    /// Number of vectors of 4 columns.
    count: usize,
}

/// Gives the same result as [`portable::filter_down`].
pub fn filter_down(rows: [Option<&[i16]>; 4], before: u32, columns: &mut [i32]) {
    let len = columns.len();
    let Some(any) = rows.into_iter().flatten().next() else { return columns.fill(0) };
    if rows.iter().flatten().any(|row| row.len() < len) || len == 0 || !len.is_multiple_of(4) {
        return portable::filter_down(rows, before, columns);
    }
    let mut taps = [1, 3, 3, 1].map(|tap: i32| tap << before);
    for (row, tap) in rows.iter().zip(&mut taps) {
        if row.is_none() {
            *tap = 0;
        }
    }
    let rows = rows.map(|row| row.unwrap_or(any).as_ptr());
    // SAFETY: every row has as many values as there are columns, a multiple of 4 above 0.
    unsafe { down(&Down { rows, columns: columns.as_mut_ptr(), taps, count: len / 4 }) }
}

/// # Safety
/// The arguments meet the conditions that [`filter_down`] checks.
#[unsafe(naked)]
unsafe extern "C" fn down(arguments: &Down) {
    // r0 ..= r3 rows, r4 columns, r5 ..= r8 taps, lr vectors; q0 ..= q3 values.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, r7, r8, lr}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, lr}}",
        "dls lr, lr",
        "2:",
        "vldrh.s32 q0, [r0], #8",
        "vmul.i32 q0, q0, r5",
        "vldrh.s32 q1, [r1], #8",
        "vmla.s32 q0, q1, r6",
        "vldrh.s32 q2, [r2], #8",
        "vmla.s32 q0, q2, r7",
        "vldrh.s32 q3, [r3], #8",
        "vmla.s32 q0, q3, r8",
        "vstrw.32 q0, [r4], #16",
        "le lr, 2b",
        "pop.w {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// Gives the same result as [`portable::filter_along`].
pub fn filter_along(columns: &mut [i32]) {
    let len = columns.len().saturating_sub(4);
    if len == 0 || !len.is_multiple_of(4) {
        return portable::filter_along(columns);
    }
    // SAFETY: four at a time, of which three follow the last.
    unsafe { along(columns.as_mut_ptr(), len / 4) }
}

/// # Safety
/// There are `count` vectors of 4 columns, at least one, and 3 more columns after them.
#[unsafe(naked)]
unsafe extern "C" fn along(columns: *mut i32, count: usize) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "movs r2, #3",
        "dls lr, r1",
        "2:",
        "vldrw.u32 q0, [r0]",
        "vldrw.u32 q1, [r0, #12]",
        "vldrw.u32 q2, [r0, #4]",
        "vadd.i32 q0, q0, q1",
        "vldrw.u32 q3, [r0, #8]",
        "vadd.i32 q2, q2, q3",
        "vmla.s32 q0, q2, r2",
        "vstrw.32 q0, [r0], #16",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}
