//! Six operations on vectors by NEON, which every 64-bit Arm has.

use core::arch::aarch64::{
    int16x8_t, int32x4_t, vaddq_s32, vdupq_n_s32, vget_high_s16, vget_low_s16, vld1q_s16, vmull_s16, vpaddq_s32,
    vreinterpretq_s16_s32, vst1q_s32, vzip1q_s32, vzip2q_s32,
};

/// Eight values of 16 bits.
pub type I16x8 = int16x8_t;
/// Four values of 32 bits.
pub type I32x4 = int32x4_t;

/// Eight values.
#[inline(always)]
pub fn load(values: &[i16; 8]) -> I16x8 {
    // SAFETY: 16 readable bytes.
    unsafe { vld1q_s16(values.as_ptr()) }
}

/// Two values, the first in the lower half of the word, four times.
#[inline(always)]
pub fn splat_pair(word: i32) -> I16x8 {
    // SAFETY: NEON is part of 64-bit Arm.
    unsafe { vreinterpretq_s16_s32(vdupq_n_s32(word)) }
}

/// Zeros.
#[inline(always)]
pub fn zero() -> I32x4 {
    // SAFETY: NEON is part of 64-bit Arm.
    unsafe { vdupq_n_s32(0) }
}

/// `a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]`.
#[inline(always)]
pub fn dot_pairs(a: I16x8, b: I16x8) -> I32x4 {
    // SAFETY: NEON is part of 64-bit Arm.
    unsafe {
        let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
        let high = vmull_s16(vget_high_s16(a), vget_high_s16(b));
        vpaddq_s32(low, high)
    }
}

/// Sums, modulo 2^32.
#[inline(always)]
pub fn add(a: I32x4, b: I32x4) -> I32x4 {
    // SAFETY: NEON is part of 64-bit Arm.
    unsafe { vaddq_s32(a, b) }
}

/// `[a0, b0, a1, b1]` and `[a2, b2, a3, b3]`.
#[inline(always)]
pub fn interleave(a: I32x4, b: I32x4) -> [I32x4; 2] {
    // SAFETY: NEON is part of 64-bit Arm.
    unsafe { [vzip1q_s32(a, b), vzip2q_s32(a, b)] }
}

/// The four values.
#[inline(always)]
pub fn to_array(vector: I32x4) -> [i32; 4] {
    let mut array = [0; 4];
    // SAFETY: 16 writable bytes.
    unsafe { vst1q_s32(array.as_mut_ptr(), vector) };
    array
}
