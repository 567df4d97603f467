//! Datasets: folders or zips of square images.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use image::{DynamicImage, imageops::FilterType};
use ndarray::{Array4, ArrayView1, ArrayView4, Axis};
use zip::ZipArchive;

mod ahead;
mod decode;
mod error;
mod listing;
mod not_read;

pub use ahead::{Batch, ahead};
pub use decode::Orientation;
use decode::{decoded, dimensions};
pub use error::DataError;
use listing::{LABELS, Listing, labels};
pub use not_read::NotRead;

/// Square RGB images of one size, sorted by name, from a folder (nested as it may be) or a zip of PNG, JPEG, WebP, BMP,
/// TIFF and GIF files. StyleGAN2-ADA's dataset zips and their labels are understood. Files of other formats are counted.
///
/// Grey becomes RGB. An alpha channel is dropped: the colours below it are taken as they are stored. Images are decoded
/// when they are asked for. If all of them together take at most 512 MB, decoded images stay in memory.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    source: Source,
    entries: Vec<Entry>,
    not_read: NotRead,
    sizes: ImageSizes,
    orientation: Orientation,
    resolution: usize,
    kept: Vec<OnceLock<Box<[u8]>>>,
}

/// The image sizes that a dataset accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSizes {
    /// The size of the first image; other sizes are refused.
    Alike,
    /// This size; other sizes are refused.
    Exactly(usize),
    /// Every size. The middle square of each image is scaled to this size (Lanczos).
    Resized(usize),
}

#[derive(Debug)]
enum Source {
    Folder,
    Zip(Mutex<ZipArchive<BufReader<File>>>),
}

#[derive(Debug)]
struct Entry {
    /// The name below the folder or in the zip, with forward slashes.
    name: String,
    /// The index of the entry, in a zip.
    index: usize,
    label: Option<u32>,
}

/// The luminance `[batch, 1, height, width]` of images `[batch, 3, height, width]` in [-1, 1], by the weights of ITU-R
/// BT.601, as image libraries make grey of colours. A grey image keeps its levels exactly.
pub fn luminance(images: ArrayView4<f32>) -> Array4<f32> {
    let level = |pixel: ArrayView1<f32>| match (pixel[0], pixel[1], pixel[2]) {
        (red, green, blue) if red == green && green == blue => red,
        (red, green, blue) => 0.299 * red + 0.587 * green + 0.114 * blue,
    };
    images.map_axis(Axis(1), level).insert_axis(Axis(1))
}

/// The largest height and width of an image that is used unscaled.
const LARGEST: u32 = 1024;
/// The largest height and width of an image that is scaled down.
const LARGEST_RESIZED: u32 = 8192;
/// The largest image file, in bytes. An uncompressed image of the largest size has 4 MB.
const LARGEST_FILE: u64 = 64 << 20;
/// The largest `dataset.json`, in bytes. That of a million images has about 50 MB.
const LARGEST_LABELS: u64 = 256 << 20;

impl Dataset {
    /// Opens a dataset whose images all have the size of the first one.
    ///
    /// # Errors
    /// The errors of [`Dataset::open_as`].
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_as(path, ImageSizes::Alike)
    }

    /// Opens a dataset whose images are turned upright.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open_as(path: &Path, sizes: ImageSizes) -> Result<Self, DataError> {
        Self::open_with(path, sizes, Orientation::Upright)
    }

    /// Opens a dataset: lists the images and checks the size of each.
    ///
    /// # Errors
    /// The path does not exist, or has no image. An image is not square, is larger than 1024x1024 (8192x8192 if images
    /// are resized), or has a size that `sizes` does not accept. The zip or `dataset.json` is damaged. Each error names
    /// the file.
    pub fn open_with(path: &Path, sizes: ImageSizes, orientation: Orientation) -> Result<Self, DataError> {
        let io = |cause| DataError::io(path, cause);
        let about = std::fs::metadata(path).map_err(io)?;
        let mut listing = Listing::default();
        let source = match about.is_dir() {
            true => {
                listing.add_below(path)?;
                Source::Folder
            }
            false => {
                if !about.is_file() {
                    return Err(DataError::Zip { file: path.into(), problem: "not a regular file".into() });
                }
                let file = BufReader::new(File::open(path).map_err(io)?);
                let zip =
                    ZipArchive::new(file).map_err(|e| DataError::Zip { file: path.into(), problem: e.to_string() })?;
                for index in 0..zip.len() {
                    match zip.name_for_index(index) {
                        Some(Ok(name)) => listing.add(&name.replace('\\', "/"), index),
                        // A name that is no text is no image's: labels and reports could not name it.
                        Some(Err(_)) => listing.not_read.add(""),
                        None => {}
                    }
                }
                Source::Zip(Mutex::new(zip))
            }
        };
        let Listing { pictures, not_read } = listing;
        if pictures.is_empty() {
            return Err(DataError::Empty { file: path.into(), not_read });
        }
        let mut entries: Vec<Entry> =
            pictures.into_iter().map(|(name, index)| Entry { name, index, label: None }).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let (path, kept) = (path.into(), Vec::new());
        let mut dataset = Self { path, source, entries, not_read, sizes, orientation, resolution: 0, kept };
        dataset.measure()?;
        dataset.read_labels()?;
        Ok(dataset)
    }

    /// The number of images; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The files beside the images that were not read, because they have other formats.
    pub fn not_read(&self) -> &NotRead {
        &self.not_read
    }

    /// The height and width of every image.
    pub fn resolution(&self) -> usize {
        self.resolution
    }

    /// The image's name below the folder or in the zip.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.entries.get(index).map(|entry| &entry.name[..])
    }

    /// The image's class from `dataset.json`; `None` if the file gives none, or not a single class.
    pub fn label(&self, index: usize) -> Option<u32> {
        self.entries.get(index).and_then(|entry| entry.label)
    }

    /// Reads one image as `[3, height, width]` with values from 0 to 255.
    ///
    /// # Errors
    /// The file has vanished, is damaged, or has another size than its header said, or the index is beyond the last
    /// image.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, DataError> {
        if let Some(pixels) = self.kept.get(index).and_then(OnceLock::get) {
            return Ok(pixels.to_vec());
        }
        let entry = self.entry(index)?;
        let pixels = self.decode(entry)?;
        if let Some(place) = self.kept.get(index) {
            // Another thread may have been first, with the same pixels.
            let _ = place.set(pixels.clone().into_boxed_slice());
        }
        Ok(pixels)
    }

    /// Reads images as networks take them: `[batch, 3, height, width]` in [-1, 1] (`x / 127.5 - 1`). An image is
    /// mirrored left to right if its entry in `flips` is true; images beyond the end of `flips` are not mirrored.
    ///
    /// # Errors
    /// The errors of [`Dataset::image`].
    pub fn batch(&self, indices: &[usize], flips: &[bool]) -> Result<Array4<f32>, DataError> {
        let size = self.resolution;
        let mut batch = Array4::zeros((indices.len(), 3, size, size));
        for (n, &index) in indices.iter().enumerate() {
            let pixels = self.image(index)?;
            let mut image = batch.index_axis_mut(Axis(0), n);
            if flips.get(n) == Some(&true) {
                image.invert_axis(Axis(2));
            }
            for (x, pixel) in image.iter_mut().zip(pixels) {
                *x = f32::from(pixel) / 127.5 - 1.0;
            }
        }
        Ok(batch)
    }

    fn entry(&self, index: usize) -> Result<&Entry, DataError> {
        self.entries.get(index).ok_or_else(|| DataError::Beyond { file: self.path.clone(), index, len: self.len() })
    }

    fn refuse(&self, entry: &Entry, problem: impl ToString) -> DataError {
        DataError::Image {
            file: self.path.join(&entry.name),
            problem: problem.to_string().replace(char::is_control, " ").trim_end().into(),
        }
    }

    /// The first `most` bytes of an image's file.
    fn bytes(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match &self.source {
            Source::Folder => {
                let file = File::open(self.path.join(&entry.name));
                let read = file.and_then(|file| file.take(most).read_to_end(&mut bytes));
                read.map_err(|e| self.refuse(entry, e))?;
            }
            Source::Zip(zip) => {
                // A reader that panicked left the archive as it was: each entry is sought anew.
                let mut zip = zip.lock().unwrap_or_else(PoisonError::into_inner);
                let file = zip.by_index(entry.index);
                let file = file.map_err(|e| self.refuse(entry, e))?;
                let read = file.take(most).read_to_end(&mut bytes);
                read.map_err(|e| self.refuse(entry, e))?;
            }
        }
        Ok(bytes)
    }

    /// Checks the size of every image. The first image's size becomes the dataset's.
    fn measure(&mut self) -> Result<(), DataError> {
        /// The number of bytes that are read of each file. They hold the header of nearly every image, and reading
        /// whole files would take long.
        const FRONT: u64 = 4096;
        for index in 0..self.len() {
            let entry = self.entry(index)?;
            let size = dimensions(self.bytes(entry, FRONT)?);
            let size = match size {
                Ok(size) => size,
                Err(_) => dimensions(self.bytes(entry, LARGEST_FILE)?)
                    .map_err(|e| self.refuse(entry, format!("no image, or a damaged one: {e}")))?,
            };
            match self.sizes.taken(size, (index > 0).then_some(self.resolution)) {
                Ok(size) => self.resolution = size,
                Err(problem) => return Err(self.refuse(entry, problem)),
            }
        }
        /// The largest number of bytes of decoded images that stay in memory.
        const KEPT: usize = 512 << 20;
        if self.len() * 3 * self.resolution * self.resolution <= KEPT {
            self.kept.resize_with(self.len(), OnceLock::new);
        }
        Ok(())
    }

    fn decode(&self, entry: &Entry) -> Result<Vec<u8>, DataError> {
        let bytes = self.bytes(entry, LARGEST_FILE)?;
        let image =
            decoded(bytes, self.sizes.largest(), self.orientation).map_err(|problem| self.refuse(entry, problem))?;
        let image = self.sizes.fitted(image).into_rgb8();
        let size = self.resolution;
        if (image.width() as usize, image.height() as usize) != (size, size) {
            return Err(self.refuse(entry, "another size than when the dataset was opened"));
        }
        let pixels = image.as_raw();
        let plane = |channel| pixels.iter().skip(channel).step_by(3).copied();
        Ok((0..3).flat_map(plane).collect())
    }

    fn read_labels(&mut self) -> Result<(), DataError> {
        let file = self.path.join(LABELS);
        let fail =
            |problem: String| DataError::Labels { file: file.clone(), problem: problem.replace(char::is_control, " ") };
        let mut text = Vec::new();
        match &self.source {
            Source::Folder => {
                let Ok(found) = File::open(&file) else {
                    return Ok(());
                };
                let read = found.take(LARGEST_LABELS).read_to_end(&mut text);
                read.map_err(|e| fail(e.to_string()))?;
            }
            Source::Zip(zip) => {
                let mut zip = zip.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(index) = zip.index_for_name(LABELS) else {
                    return Ok(());
                };
                let found = zip.by_index(index).map_err(|e| fail(e.to_string()))?;
                let read = found.take(LARGEST_LABELS).read_to_end(&mut text);
                read.map_err(|e| fail(e.to_string()))?;
            }
        }
        let labels: HashMap<String, u32> = labels(&text).map_err(|e| fail(e.to_string()))?;
        for entry in &mut self.entries {
            entry.label = labels.get(&entry.name).copied();
        }
        Ok(())
    }
}

impl ImageSizes {
    /// The height and width that an image of this width and height gets, if earlier images have `before`.
    fn taken(self, (width, height): (u32, u32), before: Option<usize>) -> Result<usize, String> {
        let largest = self.largest();
        if width == 0 || height == 0 || width.max(height) > largest {
            return Err(format!("{width}x{height}: larger than {largest}x{largest}, or empty"));
        }
        if let Self::Resized(size) = self {
            return Ok(size);
        }
        if width != height {
            return Err(format!("{width}x{height}: expected a square image; --resize takes its middle square"));
        }
        let size = width as usize;
        match (self, before) {
            (Self::Exactly(wanted), _) if wanted != size => {
                Err(format!("{width}x{height}: an image of {wanted}x{wanted} is needed; --resize makes it one"))
            }
            (_, Some(before)) if before != size => Err(format!(
                "{width}x{height}: the images before it are {before}x{before}; --resize gives all the same size"
            )),
            _ => Ok(size),
        }
    }

    fn largest(self) -> u32 {
        match self {
            Self::Resized(_) => LARGEST_RESIZED,
            _ => LARGEST,
        }
    }

    fn fitted(self, image: DynamicImage) -> DynamicImage {
        let Self::Resized(size) = self else { return image };
        let (width, height) = (image.width(), image.height());
        let side = width.min(height);
        let square = image.crop_imm((width - side) / 2, (height - side) / 2, side, side);
        if side as usize == size { square } else { square.resize_exact(size as u32, size as u32, FilterType::Lanczos3) }
    }
}
