//! Adds a colour's accumulators to a row of the image.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::finish::RequantPlan;
use crate::kernel::portable;

/// Arguments of [`values`].
#[repr(C)]
struct Values {
    acc: *const i32,
    rgb: *mut i16,
    rgb_end: *mut i16,
    multiplier: i32,
    half: i32,
    shift: u32,
    bias: i32,
}

/// Gives the same result as [`portable::blend_row`].
pub fn blend_row(acc: &[i32], scale: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    let len = rgb.len();
    // At 65534 or more, the limit has no effect besides the saturation of the sum.
    let usable = limit >= 65534 && len > 0 && len.is_multiple_of(4) && acc.len() >= len && aligned(rgb);
    let (RequantPlan::HighWord { multiplier, doublings: 0, shift }, true) = (scale, usable) else {
        return portable::blend_row(acc, scale, bias, limit, rgb);
    };
    let range = rgb.as_mut_ptr_range();
    let half = (1 << shift) >> 1;
    let arguments = Values { acc: acc.as_ptr(), rgb: range.start, rgb_end: range.end, multiplier, half, shift, bias };
    // SAFETY: `acc` has as many words as `rgb` has values, a multiple of 4.
    unsafe { values(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`blend_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn values(arguments: &Values) {
    // r1 accumulators, r2 the image, r3 its end, r4 multiplier, r5 half, r6 shift, r7 bias, r0 zero; r8 and r9 two values,
    // r10 what they are added to. 18 bits hold the limit of 65534 and a value.
    naked_asm!(
        cpu!(),
        ".macro ND_OWN value",
        "smmla \\value, \\value, r4, r5",
        "asr.w \\value, \\value, r6",
        "qadd \\value, \\value, r7",
        "ssat \\value, #18, \\value",
        ".endm",
        ".macro ND_TWO",
        "ldrd r8, r9, [r1], #8",
        "ldr r10, [r2]",
        "ND_OWN r8",
        "ND_OWN r9",
        "sxtah r8, r8, r10",
        "sxtah r9, r9, r10, ror #16",
        "ssat r8, #16, r8",
        "ssat r9, #16, r9",
        "pkhbt r8, r8, r9, lsl #16",
        // Negated twice with saturation, -32768 becomes -32767.
        "qsub16 r8, r0, r8",
        "qsub16 r8, r0, r8",
        "str r8, [r2], #4",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, lr}}",
        "ldm.w r0, {{r1, r2, r3, r4, r5, r6, r7}}",
        "movs r0, #0",
        "2:",
        "ND_TWO",
        "ND_TWO",
        "cmp r2, r3",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, pc}}",
        ".purgem ND_OWN",
        ".purgem ND_TWO",
    )
}
