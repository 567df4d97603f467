//! Converts real numbers to integers: rows of weights with a scale, and gains as mantissa and exponent.

use nickeldime_core::number::{Gain, Requant};
use nickeldime_core::pack::WeightWidth;

/// Clipping thresholds that are tried for a row of 8-bit weights, as fractions of its largest weight.
const CLIPS: std::ops::RangeInclusive<u32> = 24..=48;
/// The value of 1.0 in units of [`CLIPS`].
const CLIP_UNIT: f64 = 48.0;

/// A row of weights as integers: `weight = integer * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The integers, in -127 ..= 127 or -32767 ..= 32767.
    pub integers: Vec<i16>,
    /// The scale, which is positive; 0 for a row of zeros.
    pub scale: f64,
}

/// Largest integer of a weight width.
pub(super) fn largest_integer(width: WeightWidth) -> f64 {
    match width {
        WeightWidth::I8 => 127.0,
        WeightWidth::I16 => 32767.0,
    }
}

/// Rounds a row to the integers that preserve its direction best, and finds the scale that then fits it best.
///
/// For 8 bits several clipping thresholds are tried, because a few clipped outliers can cost less than a coarser grid
/// for all. The error of integers q is what remains with the best scale, `|w|^2 - (w.q)^2 / |q|^2`. Where demodulation
/// cancels the scale, only the direction matters.
pub fn quantise_row(weights: &[f64], width: WeightWidth) -> Row {
    let largest = weights.iter().fold(0f64, |m, w| m.max(w.abs()));
    if largest == 0.0 {
        return Row { integers: vec![0; weights.len()], scale: 0.0 };
    }
    let limit = largest_integer(width);
    let clips = match width {
        WeightWidth::I8 => CLIPS,
        WeightWidth::I16 => 48..=48,
    };
    let mut best: Option<(f64, Row)> = None;
    for clip in clips {
        let step = largest * clip as f64 / CLIP_UNIT / limit;
        let integers: Vec<i16> = weights.iter().map(|w| (w / step).round().clamp(-limit, limit) as i16).collect();
        let (mut along, mut square) = (0f64, 0f64);
        for (&q, w) in integers.iter().zip(weights) {
            along += w * q as f64;
            square += q as f64 * q as f64;
        }
        let kept = along * along / square;
        if best.as_ref().is_none_or(|(most, _)| kept > *most) {
            best = Some((kept, Row { integers, scale: along / square }));
        }
    }
    best.expect("at least one threshold was tried").1
}

/// Converts `value` to a mantissa times a power of two; `None` unless it is positive, finite and within the exponent's
/// range.
pub fn gain(value: f64) -> Option<Gain> {
    if !(value.is_finite() && value > 0.0) {
        return None;
    }
    let mut exponent = value.log2().floor() as i32 - 30;
    let mut mantissa = (value * 2f64.powi(-exponent)).round();
    // log2 may be off by one at a power of two, and rounding may carry into the next.
    while mantissa >= 2f64.powi(31) {
        exponent += 1;
        mantissa = (value * 2f64.powi(-exponent)).round();
    }
    while mantissa < 2f64.powi(30) {
        exponent -= 1;
        mantissa = (value * 2f64.powi(-exponent)).round();
    }
    let exponent = i8::try_from(exponent).ok()?;
    Some(Gain { mantissa: mantissa as u32, exponent })
}

/// Converts `value` to a multiplier and a right shift, as precisely as possible. Values that are too small give 0,
/// values that are too large `None`.
pub fn requant(value: f64) -> Option<Requant> {
    if value == 0.0 {
        return Some(Requant::default());
    }
    let mut shift = 30 - value.abs().log2().floor() as i32;
    shift = shift.min(Requant::MAX_SHIFT.into());
    let mut multiplier = (value * 2f64.powi(shift)).round();
    if multiplier.abs() >= 2f64.powi(31) {
        shift -= 1;
        multiplier = (value * 2f64.powi(shift)).round();
    }
    let shift = u8::try_from(shift).ok()?;
    Some(Requant { multiplier: multiplier as i32, shift })
}
