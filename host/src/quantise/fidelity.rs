//! Measures how near the integer image is to the float image.

/// Peak signal-to-noise ratio (PSNR) over a set of images, in dB, with peak 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// Mean of the images' ratios, in dB.
    pub mean_db: f64,
    /// Lowest ratio of an image, in dB.
    pub worst_db: f64,
    /// Number of images.
    pub images: usize,
}

/// The ratio of one image in dB. `bytes` are `[height][width][channels]`, and `float` is `[channels][height][width]`, with
/// nominal range [-1, 1]; it is mapped to 0 ..= 255 and clamped, but not rounded. Rounding alone limits the ratio to
/// 58.9 dB. It is infinite if the images are equal.
///
/// # Panics
/// If the lengths differ.
pub fn psnr(bytes: &[u8], float: &[f32], channels: usize) -> f64 {
    assert_eq!(bytes.len(), float.len(), "images of different sizes");
    let area = bytes.len() / channels;
    let mut sum = 0f64;
    for (pixel, colours) in bytes.chunks_exact(channels).enumerate() {
        for (channel, &byte) in colours.iter().enumerate() {
            let value = f64::from(float[channel * area + pixel]) * 127.5 + 127.5;
            sum += (value.clamp(0.0, 255.0) - f64::from(byte)).powi(2);
        }
    }
    10.0 * (255.0 * 255.0 * bytes.len() as f64 / sum).log10()
}

impl Fidelity {
    /// Summarises the ratios of single images; `None` without images.
    pub fn of(ratios: &[f64]) -> Option<Self> {
        let worst_db = ratios.iter().copied().reduce(f64::min)?;
        let mean_db = ratios.iter().sum::<f64>() / ratios.len() as f64;
        Some(Self { mean_db, worst_db, images: ratios.len() })
    }
}
