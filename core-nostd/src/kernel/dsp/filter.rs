//! The separable filter `[1, 3, 3, 1]`.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::portable;

/// Arguments of [`down`].
#[repr(C)]
struct Down {
    rows: [*const i16; 4],
    columns: *mut i32,
    columns_end: *mut i32,
    /// The outer taps and the inner taps of the filter, two of each.
    taps: [i16; 4],
}

/// Gives the same result as [`portable::filter_down`].
pub fn filter_down(rows: [Option<&[i16]>; 4], before: u32, columns: &mut [i32]) {
    let len = columns.len();
    let usable = |row: &[i16]| row.len() >= len && aligned(row);
    let [Some(a), Some(b), Some(c), Some(d)] = rows.map(|row| row.filter(|row| usable(row))) else {
        return portable::filter_down(rows, before, columns);
    };
    if len == 0 || !len.is_multiple_of(4) || before > 9 {
        return portable::filter_down(rows, before, columns);
    }
    let range = columns.as_mut_ptr_range();
    let (outer, inner) = (1 << before, 3 << before);
    let arguments = Down {
        rows: [a, b, c, d].map(<[i16]>::as_ptr),
        columns: range.start,
        columns_end: range.end,
        taps: [outer, outer, inner, inner],
    };
    // SAFETY: every row has as many values as there are columns, a multiple of 4.
    unsafe { down(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`filter_down`] checks.
#[unsafe(naked)]
unsafe extern "C" fn down(arguments: &Down) {
    // r0 ..= r3 rows, r4 columns, r5 their end, r6 and r7 taps, r8 ..= r11 two values of each row, r12 and lr sums.
    naked_asm!(
        cpu!(),
        ".macro ND_TWO",
        "ldr r8, [r0], #4",
        "ldr r9, [r1], #4",
        "ldr r10, [r2], #4",
        "ldr r11, [r3], #4",
        "pkhbt r12, r8, r11, lsl #16",
        "smuad r12, r12, r6",
        "pkhbt lr, r9, r10, lsl #16",
        "smlad r12, lr, r7, r12",
        "pkhtb lr, r11, r8, asr #16",
        "smuad lr, lr, r6",
        "pkhtb r9, r10, r9, asr #16",
        "smlad lr, r9, r7, lr",
        "strd r12, lr, [r4], #8",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        "2:",
        "ND_TWO",
        "ND_TWO",
        "cmp r4, r5",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_TWO",
    )
}

/// Gives the same result as [`portable::filter_along`].
pub fn filter_along(columns: &mut [i32]) {
    let len = columns.len().saturating_sub(4);
    if len == 0 || !len.is_multiple_of(4) {
        return portable::filter_along(columns);
    }
    let columns = columns.as_mut_ptr();
    // SAFETY: four at a time, from a multiple of 4 that four more follow.
    unsafe { along(columns, columns.wrapping_add(len)) }
}

/// # Safety
/// From `columns` to `end` there is a multiple of 4 words above 0, and behind it 4 more.
#[unsafe(naked)]
unsafe extern "C" fn along(columns: *mut i32, end: *mut i32) {
    // [1, 3, 3, 1] is [1, 1] three times: with r10 the last column, r11 the last sum of two and r12 the last sum of three
    // ([1, 2, 1]), a new column takes three additions.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0, {{r2, r3, r10}}",
        "adds r2, r2, r3",
        "add.w r11, r3, r10",
        "add.w r12, r2, r11",
        "add.w r2, r0, #12",
        "2:",
        "ldm.w r2!, {{r4, r5, r6, r7}}",
        "add.w r8, r10, r4",
        "add.w r9, r11, r8",
        "add.w r3, r12, r9",
        "add.w r10, r4, r5",
        "add.w r11, r8, r10",
        "add.w r4, r9, r11",
        "add.w r8, r5, r6",
        "add.w r9, r10, r8",
        "add.w r5, r11, r9",
        "add.w r10, r6, r7",
        "add.w r11, r8, r10",
        "add.w r6, r9, r11",
        "mov r12, r11",
        "mov r11, r10",
        "mov r10, r7",
        "stm.w r0!, {{r3, r4, r5, r6}}",
        "cmp r0, r1",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
