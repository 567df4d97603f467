//! Modulation of a pair of channels.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::portable;

/// Arguments of [`pixels`].
#[repr(C)]
struct Pixels {
    a: *const i16,
    b: *const i16,
    out: *mut i16,
    out_end: *mut i16,
    styles: [i16; 2],
    half: i32,
    shift: u32,
}

/// Gives the same result as [`portable::modulate`].
pub fn modulate(a: &[i16], b: &[i16], styles: [i16; 2], shift: u8, out: &mut [i16]) {
    let width = out.len() / 2;
    let usable = aligned(a) && aligned(b) && aligned(out) && a.len() >= width && b.len() >= width;
    if !usable || width == 0 || !out.len().is_multiple_of(8) {
        return portable::modulate(a, b, styles, shift, out);
    }
    let range = out.as_mut_ptr_range();
    let arguments = Pixels {
        a: a.as_ptr(),
        b: b.as_ptr(),
        out: range.start,
        out_end: range.end,
        styles,
        half: (1 << shift) >> 1,
        shift: shift.into(),
    };
    // SAFETY: `a` and `b` have as many values as `out` has words, a multiple of 4.
    unsafe { pixels(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`modulate`] checks.
#[unsafe(naked)]
unsafe extern "C" fn pixels(arguments: &Pixels) {
    // r0 and r1 the channels, r2 out, r3 its end, r4 styles, r5 half, r6 shift, r7 and r8 two pixels of each channel.
    naked_asm!(
        cpu!(),
        ".macro ND_TWO",
        "ldr r7, [r0], #4",
        "ldr r8, [r1], #4",
        "smlabb r9, r7, r4, r5",
        "smlabt r10, r8, r4, r5",
        "smlatb r11, r7, r4, r5",
        "smlatt r12, r8, r4, r5",
        "asr.w r9, r9, r6",
        "asr.w r10, r10, r6",
        "asr.w r11, r11, r6",
        "asr.w r12, r12, r6",
        "pkhbt r9, r9, r10, lsl #16",
        "pkhbt r11, r11, r12, lsl #16",
        "strd r9, r11, [r2], #8",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6}}",
        "2:",
        "ND_TWO",
        "ND_TWO",
        "cmp r2, r3",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_TWO",
    )
}
