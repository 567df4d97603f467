//! toRGB, the image's skip path, and the last step to bytes.

use crate::dense::{BlockFloat, DenseView};
use crate::kernel;
use crate::number::MAX_I16;

/// Right shift of an activation times a style mantissa before toRGB.
const MODULATION_SHIFT: u8 = 15;

/// toRGB of a block for one sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RgbLayer<'a> {
    pub rgb: DenseView<'a>,
    pub styles: BlockFloat<'a>,
    pub limit: i32,
}

impl RgbLayer<'_> {
    /// Adds toRGB of a feature row, `[width][inputs]`, to the row of the smaller image doubled, `[width][3]`. `modulated`
    /// holds one pixel.
    pub fn add_row(&self, features: &[i16], modulated: &mut [i16], rgb: &mut [i32]) {
        let inputs = self.styles.mantissas.len().max(1);
        for (pixel, rgb) in features.chunks_exact(inputs).zip(rgb.chunks_exact_mut(3)) {
            kernel::modulate(pixel, self.styles.mantissas, MODULATION_SHIFT, modulated);
            let mut own = [0; 3];
            let x = BlockFloat { mantissas: modulated, exponent: self.styles.exponent };
            self.rgb.apply(x, &mut own);
            for (rgb, own) in rgb.iter_mut().zip(own) {
                // A doubled image entry is below 2^16, the limit at most 2^24.
                *rgb = (*rgb + own.clamp(-self.limit, self.limit)).clamp(-MAX_I16, MAX_I16);
            }
        }
    }
}

/// The byte of an image entry: `floor(127.5 x + 128)`, limited to 0 ..= 255.
pub(crate) fn to_byte(value: i32, fraction: u8) -> u8 {
    ((value + (128 << fraction)) >> fraction).clamp(0, 255) as u8
}
