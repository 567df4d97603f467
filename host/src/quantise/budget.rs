//! Chooses the layers that get 16-bit weights if bytes are left over: those whose rounding error, for each byte, affects
//! the images most.

use std::collections::BTreeSet;

use super::calibrate::Calibration;
use super::write::{FitCache, PackOptions, PackWriteError, write_with};
use nickeldime_checkpoint::model::weights::GeneratorWeights;

/// The layers for [`PackOptions::sixteen_bit`] that `extra` bytes pay for. `error` measures a pack, for example as the
/// mean squared error of its images. A layer's benefit is the decrease of the error if it alone has 16-bit weights.
///
/// # Errors
/// The errors of the packer and of `error`.
pub fn choose_16_bit_layers<E: From<PackWriteError>>(
    weights: &GeneratorWeights,
    calibration: &Calibration,
    options: &PackOptions,
    extra: usize,
    error: &mut dyn FnMut(&[u8]) -> Result<f64, E>,
) -> Result<BTreeSet<String>, E> {
    let mut fits = FitCache::default();
    let base = write_with(weights, calibration, options, &mut fits)?;
    let before = error(&base.bytes)?;
    let mut worths = Vec::new();
    for layer in base.layers.iter().filter(|layer| layer.can_be_16_bit && layer.bits == 8 && layer.bytes <= extra) {
        let options = PackOptions { sixteen_bit: [layer.name.clone()].into(), ..options.clone() };
        let after = error(&write_with(weights, calibration, &options, &mut fits)?.bytes)?;
        worths.push(((before - after) / layer.bytes as f64, layer));
    }
    worths.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut wide, mut left) = (BTreeSet::new(), extra);
    for (worth, layer) in worths {
        if worth > 0.0 && layer.bytes <= left {
            left -= layer.bytes;
            wide.insert(layer.name.clone());
        }
    }
    Ok(wide)
}
