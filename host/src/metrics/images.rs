//! Sets of images to be measured: real ones, and those that a generator draws.

use std::ops::Range;

use ndarray::{Array4, Axis};

use crate::{
    data::Dataset,
    picture::to_u8,
    preview::{Latents, NoiseMode, Preview},
};

/// Why an image could not be had.
pub type ImageError = Box<dyn std::error::Error + Send + Sync>;

/// A set of images in a fixed order.
pub trait Images {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them, `[batch, 3, height, width]` in [-1, 1], in steps of 8 bits: a metric sees what a file would hold.
    ///
    /// # Errors
    /// What is wrong with an image of the range.
    fn batch(&self, range: Range<usize>) -> Result<Array4<f32>, ImageError>;
}

/// All images of a dataset, where wanted followed by their mirror images.
#[derive(Debug)]
pub struct RealImages {
    /// The images.
    pub data: Dataset,
    /// Whether the mirror images count too, as for a training with x-flips.
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

/// Images of a float generator.
pub struct DrawnImages {
    /// The generator.
    pub preview: Preview,
    /// Of the images, in their order.
    pub seeds: Range<u64>,
    /// Truncation; 1 is none.
    pub psi: f32,
    /// What is added to the feature maps.
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
            // One channel is three equal ones.
            place.iter_mut().zip(image.into_iter().cycle()).for_each(|(x, value)| *x = in_steps(to_u8(value)));
        }
        Ok(batch)
    }
}

/// A byte of an image as networks take it.
pub fn in_steps(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}
