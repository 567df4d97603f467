//! Requantises accumulators to 16-bit values, 4 at a time.

use core::arch::naked_asm;

use crate::kernel::finish::RequantPlan;
use crate::kernel::portable;

/// Arguments of [`activate`].
#[repr(C)]
struct Activate {
    acc: *const i32,
    noise: *const i32,
    out: *mut i16,
    multiplier: i32,
    /// Left shift; a negative value shifts right and rounds.
    shift: i32,
    doublings: u32,
    bias: i32,
    limit: i32,
    /// Number of vectors of 4 values.
    count: usize,
}

/// Gives the same result as [`portable::activate_row`].
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    let len = out.len();
    let usable = len > 0 && len.is_multiple_of(4) && acc.len() >= len && noise.len() >= len;
    let (RequantPlan::HighWord { multiplier, doublings, shift }, true) = (scale, usable) else {
        return portable::activate_row(acc, noise, scale, bias, limit, out);
    };
    let arguments = Activate {
        acc: acc.as_ptr(),
        noise: noise.as_ptr(),
        out: out.as_mut_ptr(),
        multiplier,
        shift: -(shift as i32),
        doublings,
        bias,
        limit: limit.into(),
        count: len / 4,
    };
    // SAFETY: `acc` and `noise` have as many words as `out` has values, a multiple of 4 above 0.
    unsafe {
        if doublings == 0 && shift >= 3 {
            activate_small(&arguments);
        } else {
            activate(&arguments);
        }
    }
}

/// The loop of both functions. `$first` is the code that doubles the accumulators, `$limit` the code that limits values
/// to 29 bits.
macro_rules! activate {
    ($name:ident, $first:literal, [$($limit:literal),*]) => {
        /// # Safety
        /// The arguments meet the conditions that [`activate_row`] checks.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(arguments: &Activate) {
            // r1 accumulators, r2 noise, r3 out, r4 multiplier, r5 shift, r6 doublings, r7 bias, r8 limit, lr vectors; q0
            // values, q1 noise and then a fifth of the values, q2 the multiplier, q3 the leaky ReLU's slope, q4 and q5 the limits.
            naked_asm!(
                cpu!(),
                "push.w {{r4, r5, r6, r7, r8, lr}}",
                "vpush {{d8, d9, d10, d11}}",
                "ldm.w r0, {{r1, r2, r3, r4, r5, r6, r7, r8, lr}}",
                "vdup.32 q2, r4",
                "movw r4, #0x3333",
                "movt r4, #0x3333",
                "vdup.32 q3, r4",
                "vdup.16 q4, r8",
                "vneg.s16 q5, q4",
                "dls lr, lr",
                "2:",
                "vldrw.u32 q0, [r1], #16",
                $first,
                "vmulh.s32 q0, q0, q2",
                "vrshl.s32 q0, r5",
                $($limit,)*
                "vldrw.u32 q1, [r2], #16",
                "vadd.i32 q0, q0, r7",
                "vadd.i32 q0, q0, q1",
                // The larger of a value and its fifth.
                "vrmulh.s32 q1, q0, q3",
                "vmax.s32 q0, q0, q1",
                "vqrshrnb.s32 q0, q0, #8",
                "vmin.s16 q0, q0, q4",
                "vmax.s16 q0, q0, q5",
                "vstrh.32 q0, [r3], #8",
                "le lr, 2b",
                "vpop {{d8, d9, d10, d11}}",
                "pop.w {{r4, r5, r6, r7, r8, pc}}",
            )
        }
    };
}

activate!(activate, "vqshl.s32 q0, r6", ["vqshl.s32 q0, q0, #3", "vshr.s32 q0, q0, #3"]);
// A shift of 3 or more leaves at most 29 bits, so no limit is needed.
activate!(activate_small, "", []);

/// Arguments of [`requantise`].
#[repr(C)]
struct Requantise {
    acc: *const i32,
    out: *mut i16,
    multiplier: i32,
    /// Left shift, as in [`Activate`].
    shift: i32,
    count: usize,
}

/// Gives the same result as [`portable::requantise_row`].
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    let len = out.len();
    let whole = len - len % 4;
    let usable = whole > 0 && acc.len() >= len;
    let (RequantPlan::HighWord { multiplier, doublings: 0, shift }, true) = (scale, usable) else {
        return portable::requantise_row(acc, scale, out);
    };
    let shift = -(shift as i32);
    let arguments = Requantise { acc: acc.as_ptr(), out: out.as_mut_ptr(), multiplier, shift, count: whole / 4 };
    // SAFETY: `acc` has as many words as `out` has values, of which `whole` are a multiple of 4 above 0.
    unsafe { requantise(&arguments) }
    portable::requantise_row(acc.get(whole..).unwrap_or_default(), scale, out.get_mut(whole..).unwrap_or_default());
}

/// # Safety
/// The arguments meet the conditions that [`requantise_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn requantise(arguments: &Requantise) {
    // r1 accumulators, r2 out, r3 multiplier, r4 shift, lr vectors; q2 the multiplier, q3 the smallest value.
    naked_asm!(
        cpu!(),
        "push.w {{r4, lr}}",
        "ldm.w r0, {{r1, r2, r3, r4, lr}}",
        "vdup.32 q2, r3",
        "movw r3, #0x8001",
        "vdup.16 q3, r3",
        "dls lr, lr",
        "2:",
        "vldrw.u32 q0, [r1], #16",
        "vmulh.s32 q0, q0, q2",
        "vrshl.s32 q0, r4",
        "vqmovnb.s32 q0, q0",
        "vmax.s16 q0, q0, q3",
        "vstrh.32 q0, [r2], #8",
        "le lr, 2b",
        "pop.w {{r4, pc}}",
    )
}
