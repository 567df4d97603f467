//! toRGB: what a block adds to the image.

use crate::dense::{BlockFloat, DenseView};
use crate::kernel::{self, Work, modulated_index, modulated_len, padded};
use crate::number::MAX_I16;

/// Right shift of an activation times a style mantissa before toRGB.
const MODULATION_SHIFT: u8 = 15;

/// toRGB of a block, prepared for one sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RgbLayer<'a> {
    pub rgb: DenseView<'a>,
    pub styles: BlockFloat<'a>,
    pub limit: i32,
}

impl RgbLayer<'_> {
    /// Adds the toRGB output of a feature row, `[channel][width]`, to the image row `rgb`, `[colour][width]`.
    /// `modulated` is a buffer with room for the modulated row.
    #[inline(never)]
    pub fn add_row(&self, features: &[i16], width: usize, modulated: &mut [i16], work: &mut Work<'_>, rgb: &mut [i16]) {
        let styles = self.styles.mantissas;
        let modulated = &mut modulated[..modulated_len(styles.len(), width)];
        kernel::modulate_row(features, styles, MODULATION_SHIFT, width, modulated);
        for (colour, rgb) in rgb.chunks_exact_mut(width).enumerate() {
            let taps = &mut work.taps[..padded(styles.len())];
            if let Some((scale, bias)) = self.rgb.narrow(colour, self.styles.exponent, taps) {
                let acc = &mut work.acc[..width];
                kernel::mix(modulated, taps, acc);
                kernel::blend_row(acc, scale, bias, self.limit, rgb);
                continue;
            }
            for (x, rgb) in rgb.iter_mut().enumerate() {
                let value = |channel| modulated[modulated_index(styles.len(), width, x + 1, channel)];
                let pixel = (0..styles.len()).map(value);
                let own = self.rgb.value(colour, pixel, self.styles.exponent).clamp(-self.limit, self.limit);
                *rgb = (i32::from(*rgb) + own).clamp(-MAX_I16, MAX_I16) as i16;
            }
        }
    }
}
