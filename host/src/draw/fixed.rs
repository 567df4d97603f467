//! Reals in the device's fixed point.

/// Converts `x` to fixed point with `bits` fractional bits, limited to 32 bits.
pub(super) fn fixed(x: f32, bits: i32) -> i32 {
    (f64::from(x) * 2f64.powi(bits)).round() as i32
}

/// Converts a number below 2 to the device's Q14.
pub fn q14(x: f32) -> i16 {
    fixed(x, 14).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
