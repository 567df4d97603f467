//! 1x1 convolutions: 4 pixels of one output channel.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::layout::plane_len;
use crate::kernel::portable;

/// Arguments of [`tiles`].
#[repr(C)]
struct Tiles {
    x: *const i16,
    /// Bytes from one plane to the next.
    stride: usize,
    taps: *const i16,
    taps_end: *const i16,
    acc: *mut i32,
    acc_end: *mut i32,
}

/// Gives the same result as [`portable::mix`].
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    let width = acc.len();
    let plane = plane_len(width);
    let pairs = taps.len() / 2;
    let usable = row.len() == pairs * plane && taps.len() == 2 * pairs && aligned(row) && aligned(taps);
    if !usable || pairs == 0 || width == 0 || !width.is_multiple_of(4) {
        return portable::mix(row, taps, acc);
    }
    let (taps, end) = (taps.as_ptr_range(), acc.as_mut_ptr_range());
    let arguments = Tiles {
        x: row.as_ptr().wrapping_add(2),
        stride: 2 * plane,
        taps: taps.start,
        taps_end: taps.end,
        acc: end.start,
        acc_end: end.end,
    };
    // SAFETY: `row` has `pairs` planes of width + 2 words, of which the tile at pixel x reads x + 1 .. x + 5; the taps have a
    // word for every pair; `acc` has `width` words, a multiple of 4.
    unsafe { tiles(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`mix`] checks.
#[unsafe(naked)]
unsafe extern "C" fn tiles(arguments: &Tiles) {
    // r1 pixels, r2 stride, r3 taps, r0 their end, r4 ..= r7 accumulators, r8 ..= r11 pixels, r12 a tap, lr where x is.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #12",
        // 0: taps, 4: acc, 8: its end.
        "ldm.w r0, {{r1, r2, r3, r4, r5, r6}}",
        "mov r0, r4",
        "str r3, [sp]",
        "strd r5, r6, [sp, #4]",
        "2:",
        "ldr r3, [sp]",
        "mov lr, r1",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "3:",
        "ldr r12, [r3], #4",
        "ldm.w lr, {{r8, r9, r10, r11}}",
        "add.w lr, lr, r2",
        "smlad r4, r8, r12, r4",
        "smlad r5, r9, r12, r5",
        "smlad r6, r10, r12, r6",
        "smlad r7, r11, r12, r7",
        "cmp r3, r0",
        "bne 3b",
        "adds r1, #16",
        "ldr.w r12, [sp, #4]",
        "stm.w r12!, {{r4, r5, r6, r7}}",
        "str.w r12, [sp, #4]",
        "ldr r3, [sp, #8]",
        "cmp r12, r3",
        "bne 2b",
        "add sp, #12",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
