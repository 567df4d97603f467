//! toRGB, the image's skip path, and the last step to bytes.

use crate::dense::{BlockFloat, DenseView};
use crate::kernel::{self, Work, modulated_index, modulated_len, padded};
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
    /// Adds toRGB of a feature row, `[channel][width]`, to the row of the smaller image doubled, `[3][width]`. `modulated`
    /// has room for the row.
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

/// The bytes of image entries: from `[3][width]` to `[width][3]`, `floor(127.5 x + 128)` limited to 0 ..= 255.
#[inline(never)]
pub(crate) fn to_bytes(rgb: &[i16], fraction: u8, bytes: &mut [u8]) {
    let width = rgb.len() / 3;
    let (red, rest) = rgb.split_at(width);
    let (green, blue) = rest.split_at(width);
    let byte = |v: i16| ((i32::from(v) + (128 << fraction)) >> fraction).clamp(0, 255) as u8;
    for (((out, &r), &g), &b) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
        *out = [byte(r), byte(g), byte(b)];
    }
}
