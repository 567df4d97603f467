//! Widens 8-bit weights to 16 bits.

use core::arch::naked_asm;

use super::arguments::aligned;
use crate::kernel::portable;

/// Gives the same result as [`portable::expand`].
pub fn expand(weights: &[i8], odd: bool, taps: &mut [i16]) {
    let words = weights.len() / 4;
    if !weights.len().is_multiple_of(12) || taps.len() != 2 * words || !aligned(weights) || !aligned(taps) || words == 0
    {
        return portable::expand(weights, odd, taps);
    }
    let (from, to) = (weights.as_ptr(), taps.as_mut_ptr());
    // SAFETY: `words` words, a multiple of 3, are read, and as many written; both are aligned.
    unsafe { if odd { expand_odd(from, to, words) } else { expand_even(from, to, words) } }
}

/// # Safety
/// `words` is a multiple of 3 above 0; as many words can be read and written, at multiples of 4.
#[unsafe(naked)]
unsafe extern "C" fn expand_even(weights: *const i8, taps: *mut i16, words: usize) {
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "add.w r2, r0, r2, lsl #2",
        "2:",
        "ldm r0!, {{r3, r4, r12}}",
        "sxtb16 r3, r3",
        "sxtb16 r4, r4",
        "sxtb16 r12, r12",
        "stm r1!, {{r3, r4, r12}}",
        "cmp r0, r2",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}

/// # Safety
/// The conditions are those of [`expand_even`].
#[unsafe(naked)]
unsafe extern "C" fn expand_odd(weights: *const i8, taps: *mut i16, words: usize) {
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "add.w r2, r0, r2, lsl #2",
        "2:",
        "ldm r0!, {{r3, r4, r12}}",
        "sxtb16 r3, r3, ror #8",
        "sxtb16 r4, r4, ror #8",
        "sxtb16 r12, r12, ror #8",
        "stm r1!, {{r3, r4, r12}}",
        "cmp r0, r2",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}
