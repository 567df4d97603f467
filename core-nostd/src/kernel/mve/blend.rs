//! Adds a colour's accumulators to a row of the image.

use core::arch::naked_asm;

use crate::kernel::finish::RequantPlan;
use crate::kernel::portable;

/// Arguments of [`values`].
#[repr(C)]
struct Values {
    acc: *const i32,
    rgb: *mut i16,
    multiplier: i32,
    /// Left shift; a negative value shifts right and rounds.
    shift: i32,
    bias: i32,
    limit: i32,
    count: usize,
}

/// Gives the same result as [`portable::blend_row`].
pub fn blend_row(acc: &[i32], plan: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    let len = rgb.len();
    let usable = len > 0 && len.is_multiple_of(4) && acc.len() >= len;
    let (RequantPlan::HighWord { multiplier, doublings: 0, shift }, true) = (plan, usable) else {
        return portable::blend_row(acc, plan, bias, limit, rgb);
    };
    let (acc, rgb, shift) = (acc.as_ptr(), rgb.as_mut_ptr(), -(shift as i32));
    // SAFETY: `acc` has as many words as `rgb` has values, a multiple of 4 above 0.
    unsafe { values(&Values { acc, rgb, multiplier, shift, bias, limit, count: len / 4 }) }
}

/// # Safety
/// The arguments meet the conditions that [`blend_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn values(arguments: &Values) {
    // r1 accumulators, r2 the image, r3 multiplier, r4 shift, r5 bias, r6 limit, lr vectors; q0 values, q1 the image, q2
    // multiplier, q3 the limit and q4 its opposite, q5 the smallest value.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, lr}}",
        "vpush {{d8, d9, d10, d11}}",
        "ldm.w r0, {{r1, r2, r3, r4, r5, r6, lr}}",
        "vdup.32 q2, r3",
        "vdup.32 q3, r6",
        "vneg.s32 q4, q3",
        "movw r3, #0x8001",
        "vdup.16 q5, r3",
        "dls lr, lr",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        "vmulh.s32 q0, q0, q2",
        "vrshl.s32 q0, r4",
        "vqadd.s32 q0, q0, r5",
        "vmin.s32 q0, q0, q3",
        "vldrh.s32 q1, [r2]",
        "vmax.s32 q0, q0, q4",
        "vadd.i32 q0, q0, q1",
        "vqmovnb.s32 q0, q0",
        "vmax.s16 q0, q0, q5",
        "vstrh.32 q0, [r2], #8",
        "le lr, 2b",
        "vpop {{d8, d9, d10, d11}}",
        "pop.w {{r4, r5, r6, pc}}",
    )
}
