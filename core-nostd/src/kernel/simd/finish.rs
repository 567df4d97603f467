//! Turns accumulators into values. These are the portable loops with the requantisation chosen outside of them, so that
//! the compiler vectorises them. The portable ones call a function for each value, which keeps a board's program small.

use crate::kernel::finish::{RequantPlan, activate, limited};
use crate::kernel::portable;
use crate::number::high_word;

/// Calls a loop with the requantisation. `exact` is the code to run where a product needs more than its upper word.
macro_rules! with_requantisation {
    ($scale:expr, $exact:expr, |$value:ident| $each:expr) => {
        match $scale {
            RequantPlan::HighWord { multiplier, doublings: 0, shift } => {
                let half = (1 << shift) >> 1;
                let $value = |acc: i32| (high_word(acc, multiplier) + half) >> shift;
                $each
            }
            RequantPlan::HighWord { multiplier, doublings, shift } => {
                let half = (1 << shift) >> 1;
                let $value = |acc: i32| (high_word(acc.saturating_mul(1 << doublings), multiplier) + half) >> shift;
                $each
            }
            RequantPlan::Exact(_) => $exact,
        }
    };
}

/// Gives the same result as [`portable::activate_row`].
#[inline(always)]
pub fn activate_row(acc: &[i32], noise: &[i32], scale: RequantPlan, bias: i32, limit: i16, out: &mut [i16]) {
    with_requantisation!(scale, portable::activate_row(acc, noise, scale, bias, limit, out), |value| {
        for ((out, &acc), &noise) in out.iter_mut().zip(acc).zip(noise) {
            *out = activate(value(acc), bias, noise, limit);
        }
    });
}

/// Gives the same result as [`portable::requantise_row`].
#[inline(always)]
pub fn requantise_row(acc: &[i32], scale: RequantPlan, out: &mut [i16]) {
    with_requantisation!(scale, portable::requantise_row(acc, scale, out), |value| {
        out.iter_mut().zip(acc).for_each(|(out, &acc)| *out = limited(value(acc)));
    });
}

/// Gives the same result as [`portable::blend_row`].
#[inline(always)]
pub fn blend_row(acc: &[i32], scale: RequantPlan, bias: i32, limit: i32, rgb: &mut [i16]) {
    with_requantisation!(scale, portable::blend_row(acc, scale, bias, limit, rgb), |value| {
        for (rgb, &acc) in rgb.iter_mut().zip(acc) {
            let own = value(acc).saturating_add(bias).clamp(-limit, limit);
            *rgb = limited(i32::from(*rgb) + own);
        }
    });
}
