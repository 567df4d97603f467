//! How large every activation gets.

use std::collections::BTreeMap;

/// Headroom over the largest activation seen: other latents, a psi above 1 and random noise reach further. It costs one of
/// 15 bits, far below what the weights' rounding costs.
pub const HEADROOM: f64 = 2.0;

/// The largest magnitude of every activation over the calibration latents, by name: `b8.conv0.mid` (demodulated, before the
/// resampling filter), `b8.conv0.out`, `b8.conv1.out`, `b8.img`, ...; other names do no harm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ranges {
    largest: BTreeMap<String, f32>,
}

impl Ranges {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one batch of an activation's values, in any order. Values that are not finite make the name unusable:
    /// [`Ranges::largest`] then gives infinity.
    pub fn observe(&mut self, name: &str, values: &[f32]) {
        let batch = values.iter().fold(0f32, |m, v| if v.is_finite() { m.max(v.abs()) } else { f32::INFINITY });
        match self.largest.get_mut(name) {
            Some(largest) => *largest = largest.max(batch),
            None => {
                self.largest.insert(name.to_owned(), batch);
            }
        }
    }

    /// The largest magnitude seen under a name.
    pub fn largest(&self, name: &str) -> Option<f32> {
        self.largest.get(name).copied()
    }
}
