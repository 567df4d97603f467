//! Finished images, and their files.

use std::path::Path;

use ndarray::{Array3, ArrayD, IxDyn};
use nickeldime_checkpoint::{CheckpointError, Tensors, write_tensors};
use sha2::{Digest, Sha256};

use crate::{
    hash::hex,
    picture::{Picture, PictureError},
};

/// Grids are enlarged by whole factors until a tile has about this many pixels, so that small images stay visible.
const TILE: usize = 64;

/// Finished images.
pub struct Drawn {
    /// Height and width of the images in pixels.
    pub resolution: usize,
    /// The images as bytes.
    pub pictures: Vec<Picture>,
    /// The same images as floats `[channels, height, width]`; if a float generator drew them, before rounding.
    pub raw: Vec<Vec<f32>>,
    /// One an image: the instructions from the request to the last row, where a device has counted them.
    pub instructions: Option<Vec<u64>>,
}

impl Drawn {
    /// Images from floats, each `[channels, resolution, resolution]`.
    pub(super) fn from_floats(resolution: usize, raw: Vec<Vec<f32>>) -> Self {
        let picture = |image: &Vec<f32>| {
            let channels = image.len() / (resolution * resolution);
            let at = |(c, y, x): (usize, usize, usize)| image[(c * resolution + y) * resolution + x];
            Picture::from_floats(Array3::from_shape_fn((channels, resolution, resolution), at).view())
        };
        let pictures = raw.iter().map(picture).collect();
        Self { resolution, pictures, raw, instructions: None }
    }

    /// Images from bytes, each `[resolution][resolution][3]`, or `[resolution][resolution]` of a grey model.
    pub(super) fn from_bytes(resolution: usize, images: Vec<Vec<u8>>) -> Self {
        let area = resolution * resolution;
        let planes = |image: &Vec<u8>| -> Vec<f32> {
            let channels = image.len() / area.max(1);
            (0..channels).flat_map(|c| image.iter().skip(c).step_by(channels).map(|&byte| f32::from(byte))).collect()
        };
        let raw = images.iter().map(planes).collect();
        let picture = |pixels: Vec<u8>| match pixels.len() == area {
            true => Picture::from_grey(resolution, resolution, &pixels),
            false => Picture::new(resolution, resolution, pixels),
        };
        Self { resolution, pictures: images.into_iter().map(picture).collect(), raw, instructions: None }
    }

    /// The SHA-256 over all images' bytes, as hexadecimal text.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.pictures.iter().for_each(|picture| hash.update(picture.pixels()));
        hex(&hash.finalize())
    }

    /// Writes all images as one grid with this many columns; 0 makes the grid nearly square.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_grid(&self, path: &Path, columns: usize) -> Result<(), PictureError> {
        Picture::grid(&self.pictures, columns, TILE / self.resolution.max(1)).write(path)
    }

    /// Writes the images of [`mixing_grid`](super::pairs::mixing_grid) as one picture, whose corner is black.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_mixing_grid(&self, path: &Path, columns: usize) -> Result<(), PictureError> {
        let black = vec![0; self.resolution * self.resolution];
        let corner = Picture::from_grey(self.resolution, self.resolution, &black);
        let tiles: Vec<Picture> = [corner].into_iter().chain(self.pictures.iter().cloned()).collect();
        Picture::grid(&tiles, columns + 1, TILE / self.resolution.max(1)).write(path)
    }

    /// Writes `images` `[images, channels, height, width]` as safetensors; if a float generator drew them, before
    /// rounding.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_raw(&self, path: &Path) -> Result<(), CheckpointError> {
        let channels = self.raw.first().map_or(0, Vec::len) / (self.resolution * self.resolution).max(1);
        let size = self.resolution;
        let at = |at: IxDyn| self.raw[at[0]][(at[1] * size + at[2]) * size + at[3]];
        let images = ArrayD::from_shape_fn(IxDyn(&[self.raw.len(), channels, size, size]), at);
        write_tensors(path, &Tensors::from([("images".to_string(), images)]), &Default::default())
    }
}
