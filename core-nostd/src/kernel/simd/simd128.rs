//! Six operations on vectors by WebAssembly's simd128.

use core::arch::wasm32::{i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane, i32x4_shuffle, i32x4_splat, v128, v128_load};

/// Eight values of 16 bits.
pub type I16x8 = v128;
/// Four values of 32 bits.
pub type I32x4 = v128;

/// Eight values.
#[inline(always)]
pub fn load(values: &[i16; 8]) -> I16x8 {
    // SAFETY: 16 readable bytes, at any address.
    unsafe { v128_load(values.as_ptr().cast()) }
}

/// Two values, the first in the lower half of the word, four times.
#[inline(always)]
pub fn splat_pair(word: i32) -> I16x8 {
    i32x4_splat(word)
}

/// Zeros.
#[inline(always)]
pub fn zero() -> I32x4 {
    i32x4_splat(0)
}

/// `a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]`.
#[inline(always)]
pub fn dot_pairs(a: I16x8, b: I16x8) -> I32x4 {
    i32x4_dot_i16x8(a, b)
}

/// Sums, modulo 2^32.
#[inline(always)]
pub fn add(a: I32x4, b: I32x4) -> I32x4 {
    i32x4_add(a, b)
}

/// `[a0, b0, a1, b1]` and `[a2, b2, a3, b3]`.
#[inline(always)]
pub fn interleave(a: I32x4, b: I32x4) -> [I32x4; 2] {
    [i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b)]
}

/// The four values.
#[inline(always)]
pub fn to_array(vector: I32x4) -> [i32; 4] {
    [
        i32x4_extract_lane::<0>(vector),
        i32x4_extract_lane::<1>(vector),
        i32x4_extract_lane::<2>(vector),
        i32x4_extract_lane::<3>(vector),
    ]
}
