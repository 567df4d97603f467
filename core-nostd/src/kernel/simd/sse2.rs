//! Six operations on vectors by SSE2, which every x86-64 has.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_loadu_si128, _mm_madd_epi16, _mm_set1_epi32, _mm_setzero_si128, _mm_storeu_si128,
    _mm_unpackhi_epi32, _mm_unpacklo_epi32,
};

/// Eight values of 16 bits.
pub type I16x8 = __m128i;
/// Four values of 32 bits.
pub type I32x4 = __m128i;

/// Eight values.
#[inline(always)]
pub fn load(values: &[i16; 8]) -> I16x8 {
    // SAFETY: 16 readable bytes, at any address.
    unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
}

/// Two values, the first in the lower half of the word, four times.
#[inline(always)]
pub fn splat_pair(word: i32) -> I16x8 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_set1_epi32(word) }
}

/// Zeros.
#[inline(always)]
pub fn zero() -> I32x4 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_setzero_si128() }
}

/// `a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]`.
#[inline(always)]
pub fn dot_pairs(a: I16x8, b: I16x8) -> I32x4 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_madd_epi16(a, b) }
}

/// Sums, modulo 2^32.
#[inline(always)]
pub fn add(a: I32x4, b: I32x4) -> I32x4 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_add_epi32(a, b) }
}

/// `[a0, b0, a1, b1]` and `[a2, b2, a3, b3]`.
#[inline(always)]
pub fn interleave(a: I32x4, b: I32x4) -> [I32x4; 2] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)] }
}

/// The four values.
#[inline(always)]
pub fn to_array(vector: I32x4) -> [i32; 4] {
    let mut array = [0; 4];
    // SAFETY: 16 writable bytes, at any address.
    unsafe { _mm_storeu_si128(array.as_mut_ptr().cast(), vector) };
    array
}
