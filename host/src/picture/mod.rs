//! Pictures, from a network's output to PNG files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use ndarray::{ArrayView3, ArrayView4};
use nickeldime_checkpoint::files;

pub mod animation;

/// An RGB picture with 8 bits per channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// True if it came from one channel. Red, green and blue are then equal, and files store one of them.
    grey: bool,
    /// The pixels, row by row from the top, as red, green and blue.
    pixels: Vec<u8>,
}

/// A picture could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .file.display())]
pub struct PictureError {
    /// The file or folder.
    pub file: PathBuf,
    /// The error of the file system.
    pub cause: io::Error,
}

/// Converts a network's number in [-1, 1] to 8 bits by StyleGAN2's rule: `floor(x * 127.5 + 128)`, limited to 0..=255;
/// NaN gives 0.
pub fn to_u8(x: f32) -> u8 {
    // The conversion truncates, and saturates at both ends.
    (x * 127.5 + 128.0) as u8
}

impl Picture {
    /// A picture from `3 * width * height` bytes, row by row, as red, green and blue.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), 3 * width * height, "RGB pixels");
        Self { width, height, grey: false, pixels }
    }

    /// A grey picture from `width * height` bytes, row by row.
    ///
    /// # Panics
    /// If the number of bytes is wrong.
    pub fn from_grey(width: usize, height: usize, pixels: &[u8]) -> Self {
        assert_eq!(pixels.len(), width * height, "grey pixels");
        Self { width, height, grey: true, pixels: pixels.iter().flat_map(|&level| [level; 3]).collect() }
    }

    /// A picture from colour planes `[3, height, width]`, as datasets hold them.
    ///
    /// # Panics
    /// If there are not exactly `3 * width * height` bytes.
    pub fn from_planes(width: usize, height: usize, planes: &[u8]) -> Self {
        let plane = width * height;
        assert_eq!(planes.len(), 3 * plane, "RGB planes");
        let colours = |at| [planes[at], planes[plane + at], planes[2 * plane + at]];
        Self::new(width, height, (0..plane).flat_map(colours).collect())
    }

    /// A picture from a network's output in [-1, 1], `[3, height, width]` or (grey) `[1, height, width]`, by [`to_u8`].
    ///
    /// # Panics
    /// If the first axis is neither 1 nor 3.
    pub fn from_floats(image: ArrayView3<f32>) -> Self {
        let (channels, height, width) = image.dim();
        if channels == 1 {
            let levels: Vec<u8> = image.iter().map(|&x| to_u8(x)).collect();
            return Self::from_grey(width, height, &levels);
        }
        assert_eq!(channels, 3, "RGB or grey channels");
        let pixels = image.permuted_axes([1, 2, 0]);
        Self::new(width, height, pixels.iter().map(|&x| to_u8(x)).collect())
    }

    /// The pictures of a batch in [-1, 1], `[batch, 3, height, width]` or (grey) `[batch, 1, height, width]`.
    ///
    /// # Panics
    /// If the second axis is neither 1 nor 3.
    pub fn from_batch(images: ArrayView4<f32>) -> Vec<Self> {
        images.outer_iter().map(Self::from_floats).collect()
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row by row from the top, as red, green and blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One byte for each pixel of a grey picture.
    fn levels(&self) -> Vec<u8> {
        self.pixels.iter().copied().step_by(3).collect()
    }

    /// Arranges pictures in a grid with this many columns (0 makes it nearly square). Every pixel becomes `scale` pixels
    /// wide and high (0 counts as 1). Places without a picture are black.
    ///
    /// # Panics
    /// If the pictures differ in size.
    pub fn grid(pictures: &[Self], columns: usize, scale: usize) -> Self {
        let scale = scale.max(1);
        let count = pictures.len();
        let columns = match columns {
            0 => (1..).find(|n| n * n >= count).unwrap_or(1),
            n => n,
        };
        let columns = columns.min(count.max(1));
        let rows = count.div_ceil(columns);
        let (width, height) = pictures.first().map_or((0, 0), |p| (p.width, p.height));
        let mut grid = Self::new(
            columns * width * scale,
            rows * height * scale,
            vec![0; 3 * columns * width * scale * rows * height * scale],
        );
        grid.grey = !pictures.is_empty() && pictures.iter().all(|picture| picture.grey);
        for (n, picture) in pictures.iter().enumerate() {
            assert_eq!((picture.width, picture.height), (width, height), "one size");
            let (left, top) = (n % columns * width * scale, n / columns * height * scale);
            for y in 0..height * scale {
                let row = &picture.pixels[3 * width * (y / scale)..][..3 * width];
                let start = 3 * ((top + y) * grid.width + left);
                let place = &mut grid.pixels[start..][..3 * width * scale];
                for (pixel, places) in row.chunks_exact(3).zip(place.chunks_exact_mut(3 * scale)) {
                    places.chunks_exact_mut(3).for_each(|p| p.copy_from_slice(pixel));
                }
            }
        }
        grid
    }

    /// Encodes the picture as PNG.
    ///
    /// # Errors
    /// The picture has no pixels, or more than a PNG file can have.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let side = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let (width, height) = (side(self.width)?, side(self.height)?);
        if width == 0 || height == 0 {
            return Err(io::Error::other("a picture without pixels"));
        }
        let mut bytes = Vec::new();
        let grey = if self.grey { self.levels() } else { Vec::new() };
        let (pixels, kind) = match self.grey {
            true => (&grey, ExtendedColorType::L8),
            false => (&self.pixels, ExtendedColorType::Rgb8),
        };
        PngEncoder::new(&mut bytes).write_image(pixels, width, height, kind).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Writes the picture as a PNG file. The file appears only when it is complete.
    ///
    /// # Errors
    /// The errors of [`Picture::png`], and of the file system.
    pub fn write(&self, path: &Path) -> Result<(), PictureError> {
        let written = self.png().and_then(|png| files::replace(path, |out| io::Write::write_all(out, &png)));
        written.map_err(|cause| PictureError { file: path.into(), cause })
    }

    /// Writes every picture as a file (`0000.png`, `0001.png`, ...) into a folder, which is created if necessary.
    ///
    /// # Errors
    /// The errors of [`Picture::write`].
    pub fn write_each(pictures: &[Self], folder: &Path) -> Result<(), PictureError> {
        fs::create_dir_all(folder).map_err(|cause| PictureError { file: folder.into(), cause })?;
        for (n, picture) in pictures.iter().enumerate() {
            picture.write(&folder.join(format!("{n:04}.png")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn numbers_become_bytes_by_the_official_rule() {
        for (x, byte) in [
            (-1.0, 0),
            (1.0, 255),
            (0.0, 128),
            (-2.0, 0),
            (7.0, 255),
            (f32::NAN, 0),
            (f32::INFINITY, 255),
            (-0.01, 126),
            (-1.005, 0),
        ] {
            assert_eq!(to_u8(x), byte, "{x}");
        }
        // Every byte of a dataset survives its way through a network's numbers.
        for byte in 0..=255 {
            assert_eq!(to_u8(f32::from(byte) / 127.5 - 1.0 + 1e-6), byte);
        }
    }

    #[test]
    fn a_grid_shows_every_picture_in_its_place() {
        let flat = |value| Picture::new(2, 1, vec![value; 6]);
        let grid = Picture::grid(&[flat(1), flat(2), flat(3)], 0, 2);
        assert_eq!((grid.width(), grid.height()), (8, 4));
        let red: Vec<u8> = grid.pixels().iter().step_by(3).copied().collect();
        let top = [1, 1, 1, 1, 2, 2, 2, 2];
        let bottom = [3, 3, 3, 3, 0, 0, 0, 0];
        assert_eq!(red, [top, top, bottom, bottom].concat());
        let row = Picture::grid(&[flat(1), flat(2), flat(3)], 9, 1);
        assert_eq!((row.width(), row.height()), (6, 1));
        assert!(Picture::grid(&[], 0, 1).png().is_err());
    }

    #[test]
    fn planes_floats_and_files_are_the_same_picture() {
        let floats = Array4::from_shape_fn((1, 3, 2, 4), |(_, c, y, x)| (c * 8 + y * 4 + x) as f32 / 12.0 - 1.0);
        let planes: Vec<u8> = floats.iter().map(|&x| to_u8(x)).collect();
        let picture = Picture::from_planes(4, 2, &planes);
        assert_eq!(Picture::from_batch(floats.view()), std::slice::from_ref(&picture));
        let folder = tempfile::tempdir().unwrap();
        let each = folder.path().join("a/b");
        Picture::write_each(&[picture.clone(), picture.clone()], &each).unwrap();
        let found = image::open(each.join("0001.png")).unwrap().into_rgb8();
        assert_eq!(found.as_raw(), picture.pixels());
    }
}
