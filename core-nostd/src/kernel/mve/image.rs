//! Doubles an image's rows, and turns them into bytes.

use core::arch::naked_asm;

use crate::kernel::portable;

/// Arguments of [`double`].
#[repr(C)]
struct Double {
    near: *const i16,
    far: *const i16,
    out: *mut i16,
    /// 1, or 0 when there is no far row.
    share: i32,
    /// Number of vectors of 4 source pixels.
    count: usize,
}

/// Gives the same result as [`portable::upsample_rgb_row`].
pub fn upsample_rgb_row(near: &[i16], far: Option<&[i16]>, out: &mut [i16]) {
    let width = near.len();
    let usable = width > 0 && width.is_multiple_of(4) && out.len() == 2 * width;
    if !usable || far.is_some_and(|far| far.len() != width) {
        return portable::upsample_rgb_row(near, far, out);
    }
    let (share, far) = (far.is_some().into(), far.unwrap_or(near).as_ptr());
    // SAFETY: both source rows have `width` values, a multiple of 4 above 0, and `out` twice as many.
    unsafe { double(&Double { near: near.as_ptr(), far, out: out.as_mut_ptr(), share, count: width / 4 }) }
}

/// # Safety
/// The arguments meet the conditions that [`upsample_rgb_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn double(arguments: &Double) {
    // r1 and r2 the source rows, r3 a value before out, r4 the far row's share, r5 three, r6 the last column of the vector before,
    // r12 the mask of what is stored, lr vectors; q0 columns, q1 the columns before them. A column and the one before make the
    // pixels between their middles: an odd one of the column before, and an even one. The first of all is not there.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, lr}}",
        "ldm.w r0, {{r1, r2, r3, r4, lr}}",
        "subs r3, #2",
        "movs r5, #3",
        "movs r6, #0",
        "movw r12, #0xFFFC",
        "dls lr, lr",
        "2:",
        "vldrh.s32 q0, [r1], #8",
        "vldrh.s32 q2, [r2], #8",
        "vmul.i32 q0, q0, r5",
        "vmla.s32 q0, q2, r4",
        "vmov q1, q0",
        "vshlc q1, r6, #32",
        "vmov q2, q1",
        "vmla.s32 q2, q0, r5",
        "vmla.s32 q0, q1, r5",
        "vrshr.s32 q2, q2, #4",
        "vrshr.s32 q0, q0, #4",
        "vmovnt.i32 q0, q2",
        "vmsr p0, r12",
        "vpst",
        "vstrht.16 q0, [r3], #16",
        "movw r12, #0xFFFF",
        "le lr, 2b",
        "add.w r6, r6, r6, lsl #1",
        "adds r6, #8",
        "asrs r6, r6, #4",
        "strh r6, [r3]",
        "pop.w {{r4, r5, r6, pc}}",
    )
}

/// Arguments of [`bytes_of`].
#[repr(C)]
struct Colour {
    rgb: *const i16,
    bytes: *mut u8,
    offset: i32,
    /// Left shift, at least 0.
    shift: i32,
    /// Number of pixels.
    width: usize,
}

/// Gives the same result as [`portable::to_bytes`].
pub fn to_bytes(rgb: &[i16], fraction: u8, bytes: &mut [u8]) {
    let width = rgb.len() / 3;
    // 128 as a value of 16 bits; where a sum saturates, so does the byte.
    if fraction > 7 || width == 0 || rgb.len() != 3 * width || bytes.len() != 3 * width {
        return portable::to_bytes(rgb, fraction, bytes);
    }
    for (colour, rgb) in rgb.chunks_exact(width).enumerate() {
        let (rgb, bytes) = (rgb.as_ptr(), bytes.as_mut_ptr().wrapping_add(colour));
        let (offset, shift) = (128 << fraction, -i32::from(fraction));
        // SAFETY: `rgb` has `width` values, and so many places from `bytes` on are 3 bytes apart.
        unsafe { bytes_of(&Colour { rgb, bytes, offset, shift, width }) }
    }
}

/// # Safety
/// The arguments meet the conditions that [`to_bytes`] checks.
#[unsafe(naked)]
unsafe extern "C" fn bytes_of(arguments: &Colour) {
    // r1 values, r2 bytes, r3 offset, r12 shift, lr pixels; q0 values, q1 where they go: 0, 3, .. 21.
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "ldm.w r0, {{r1, r2, r3, r12, lr}}",
        "movs r4, #0",
        "vidup.u16 q1, r4, #1",
        "movs r4, #3",
        "vmul.i16 q1, q1, r4",
        "dlstp.16 lr, lr",
        "2:",
        "vldrh.u16 q0, [r1], #16",
        "vqadd.s16 q0, q0, r3",
        "vshl.s16 q0, r12",
        "vqmovunb.s16 q0, q0",
        "vstrb.16 q0, [r2, q1]",
        "add.w r2, r2, #24",
        "letp lr, 2b",
        "pop {{r4, pc}}",
    )
}
