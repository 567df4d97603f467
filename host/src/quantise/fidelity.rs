//! How near the integer image is to the float image.

/// Peak signal-to-noise ratio over a set of images, in dB, peak 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// Mean over the images of each image's ratio.
    pub mean_db: f64,
    /// The worst image's ratio.
    pub worst_db: f64,
    /// How many images.
    pub images: usize,
}

/// Ratio of one image: integer bytes `[height][width][3]` against float values `[3][height][width]`, or of a grey network
/// `[1][height][width]`, of nominal range [-1, 1], mapped to 0 ..= 255 and clamped but not rounded. Rounding alone limits it to 58.9 dB. Infinite when equal.
///
/// # Panics
/// When the lengths differ.
pub fn psnr(bytes: &[u8], float: &[f32]) -> f64 {
    let area = bytes.len() / 3;
    assert!([area, 3 * area].contains(&float.len()), "images of different sizes");
    let mut sum = 0f64;
    for (pixel, rgb) in bytes.chunks_exact(3).enumerate() {
        for (channel, &byte) in rgb.iter().enumerate() {
            let value = f64::from(float[(channel * area + pixel) % float.len()]) * 127.5 + 127.5;
            sum += (value.clamp(0.0, 255.0) - f64::from(byte)).powi(2);
        }
    }
    10.0 * (255.0 * 255.0 * bytes.len() as f64 / sum).log10()
}

impl Fidelity {
    /// Of the ratios of single images; `None` for no image.
    pub fn of(ratios: &[f64]) -> Option<Self> {
        let worst_db = ratios.iter().copied().reduce(f64::min)?;
        let mean_db = ratios.iter().sum::<f64>() / ratios.len() as f64;
        Some(Self { mean_db, worst_db, images: ratios.len() })
    }
}
