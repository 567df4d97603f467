//! Kernels for computers: multiply-accumulates on vectors of eight 16-bit values, on x86-64 (SSE2), on 64-bit Arm (NEON)
//! and in WebAssembly (simd128). Every one of these processors has them, so they are chosen at compile time.
//! Requantisation and activation use AVX2 where an x86-64 has it, which is asked at run time.
//!
//! The loops are written once, over six operations that `vector` provides for each processor.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod finish;
mod loops;
#[cfg_attr(target_arch = "x86_64", path = "sse2.rs")]
#[cfg_attr(target_arch = "aarch64", path = "neon.rs")]
#[cfg_attr(target_arch = "wasm32", path = "simd128.rs")]
mod vector;

use core::sync::atomic::{AtomicBool, Ordering};

use super::finish::RequantPlan;
use super::portable;
pub use super::portable::{
    ACCUMULATORS, LANES, TWO_OUTPUTS, copy_row, correlate_pair, dot_i8_wide, dot_i16, expand, filter_along,
    filter_down, modulate, normal_row, random_row, spread_pair, to_bytes, upsample_rgb_row,
};

static PORTABLE: AtomicBool = AtomicBool::new(false);

/// Makes this process run the portable kernels from now on (`true`), or the vector kernels again (`false`), so that one
/// run can time both. The results are the same.
pub fn use_portable(portable: bool) {
    PORTABLE.store(portable, Ordering::Relaxed);
}

fn portable_is_asked_for() -> bool {
    PORTABLE.load(Ordering::Relaxed)
}

/// Gives the same result as [`portable::correlate`].
pub fn correlate(rows: &[&[i16]], taps: &[i16], acc: &mut [i32]) {
    if portable_is_asked_for() {
        return portable::correlate(rows, taps, acc);
    }
    loops::correlate(rows, taps, acc);
}

/// Gives the same result as [`portable::spread`].
pub fn spread(sources: &[(&[i16], &[i16])], acc: &mut [i32]) {
    let width = acc.len() / 2;
    if portable_is_asked_for() || !width.is_multiple_of(4) {
        return portable::spread(sources, acc);
    }
    loops::spread(sources, acc);
}

/// Gives the same result as [`portable::mix`].
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    if portable_is_asked_for() {
        return portable::mix(row, taps, acc);
    }
    loops::mix(row, taps, acc);
}

/// Gives the same result as [`portable::activate_row`].
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    if portable_is_asked_for() {
        return portable::activate_row(acc, noise, scale, bias, limit, out);
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::is_here() {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::activate_row(acc, noise, scale, bias, limit, out) };
    }
    finish::activate_row(acc, noise, scale, bias, limit, out);
}

/// Gives the same result as [`portable::requantise_row`].
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    if portable_is_asked_for() {
        return portable::requantise_row(acc, scale, out);
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::is_here() {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::requantise_row(acc, scale, out) };
    }
    finish::requantise_row(acc, scale, out);
}

/// Gives the same result as [`portable::blend_row`].
pub fn blend_row(acc: &[i32], scale: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    if portable_is_asked_for() {
        return portable::blend_row(acc, scale, bias, limit, rgb);
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::is_here() {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::blend_row(acc, scale, bias, limit, rgb) };
    }
    finish::blend_row(acc, scale, bias, limit, rgb);
}
