//! Sets of images to measure: real ones, and images that a generator draws.

use std::ops::Range;

use ndarray::{Array4, Axis};

use crate::{
    data::Dataset,
    draw::{Latents, NoiseMode, Preview},
    picture::to_u8,
};

/// The reason why an image could not be read or drawn.
pub type ImageError = Box<dyn std::error::Error + Send + Sync>;

/// A set of images in a fixed order.
pub trait Images {
    /// The number of images.
    fn len(&self) -> usize;

    /// True if the set has no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images of a range, `[batch, 3, height, width]` in [-1, 1]. Values are rounded to 8 bits, so that a metric
    /// sees what an image file would hold.
    ///
    /// # Errors
    /// An image of the range cannot be read or drawn.
    fn batch(&self, range: Range<usize>) -> Result<Array4<f32>, ImageError>;
}

/// All images of a dataset, optionally followed by their mirror images.
#[derive(Debug)]
pub struct RealImages {
    /// The images.
    pub data: Dataset,
    /// True to include the mirror images, as for a training with mirrored images.
    pub mirror: bool,
}

impl Images for RealImages {
    fn len(&self) -> usize {
        self.data.len() * if self.mirror { 2 } else { 1 }
    }

    fn batch(&self, range: Range<usize>) -> Result<Array4<f32>, ImageError> {
        let indices: Vec<usize> = range.clone().map(|i| i % self.data.len()).collect();
        let flips: Vec<bool> = range.map(|i| i >= self.data.len()).collect();
        Ok(self.data.batch(&indices, &flips)?)
    }
}

/// Images that a float generator draws.
pub struct DrawnImages {
    /// The generator.
    pub preview: Preview,
    /// The latent seeds of the images, in their order.
    pub seeds: Range<u64>,
    /// The truncation psi; 1 means no truncation.
    pub psi: f32,
    /// The noise that is added to the feature maps.
    pub noise: NoiseMode,
}

impl Images for DrawnImages {
    fn len(&self) -> usize {
        (self.seeds.end - self.seeds.start) as usize
    }

    fn batch(&self, range: Range<usize>) -> Result<Array4<f32>, ImageError> {
        let first = self.seeds.start;
        let seeds = range.map(|i| first + i as u64).collect();
        let images = self.preview.images(&Latents::Seeds(seeds), self.psi, self.noise, &mut |_| true);
        let images = images.map_err(|width| format!("latents of width {width} expected"))?;
        let size = self.preview.resolution();
        let mut batch = Array4::zeros((images.len(), 3, size, size));
        for (mut place, image) in batch.axis_iter_mut(Axis(0)).zip(images) {
            // A grey image is taken as three equal channels.
            place.iter_mut().zip(image.into_iter().cycle()).for_each(|(x, value)| *x = in_steps(to_u8(value)));
        }
        Ok(batch)
    }
}

/// A byte of an image as a number in [-1, 1], as networks take it.
pub fn in_steps(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}
