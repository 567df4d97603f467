//! The finishing loops compiled for AVX2, which has the signed 32-bit products, minima and maxima that SSE2 lacks. Not every
//! x86-64 has it, so the processor is asked once, when the program runs.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

use super::finish;
use crate::kernel::finish::RequantPlan;

/// The cached answer. 0: not asked yet. 1: the processor has no AVX2. 2: it has.
static ANSWER: AtomicU8 = AtomicU8::new(0);

/// True where the processor has AVX2 and the operating system keeps its registers.
#[inline]
pub fn is_here() -> bool {
    match ANSWER.load(Ordering::Relaxed) {
        0 => {
            let here = ask();
            ANSWER.store(1 + u8::from(here), Ordering::Relaxed);
            here
        }
        answer => answer == 2,
    }
}

/// Asks the processor, in the order that Intel's manual gives: section 14.3, "Detection of Intel AVX Instructions".
#[cold]
fn ask() -> bool {
    /// The registers that the operating system saves: bits 1 and 2 stand for those of SSE and AVX.
    #[target_feature(enable = "xsave")]
    fn kept_registers() -> u64 {
        // SAFETY: the caller has found XGETBV.
        unsafe { _xgetbv(0) }
    }
    let (last, features) = (__cpuid(0).eax, __cpuid(1).ecx);
    let (xsave, avx) = (features >> 27 & 1 == 1, features >> 28 & 1 == 1);
    if last < 7 || !xsave || !avx {
        return false;
    }
    // SAFETY: bit 27 says that the operating system has made XGETBV usable.
    let kept = unsafe { kept_registers() };
    kept & 6 == 6 && __cpuid_count(7, 0).ebx >> 5 & 1 == 1
}

/// Gives the same result as [`finish::activate_row`].
#[target_feature(enable = "avx2")]
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    finish::activate_row(acc, noise, scale, bias, limit, out);
}

/// Gives the same result as [`finish::requantise_row`].
#[target_feature(enable = "avx2")]
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    finish::requantise_row(acc, scale, out);
}

/// Gives the same result as [`finish::blend_row`].
#[target_feature(enable = "avx2")]
pub fn blend_row(acc: &[i32], scale: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    finish::blend_row(acc, scale, bias, limit, rgb);
}
