//! Sets of images that a user names: a model, a run, a folder or a zip of images.

use std::{ops::Range, path::Path};

use anyhow::bail;
use ndarray::Array4;
use nickeldime_core::{
    generator::{Latent, Sample},
    pack::Pack,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{images::opened, model::ModelFile};
use crate::{
    backend::BackendKind,
    data::{Dataset, ImageSizes, Orientation},
    draw::{NoiseMode, Preview, device_noise, render},
    hash::{hex, sha256_of},
    metrics::images::{DrawnImages, ImageError, Images, RealImages, in_steps},
    run::{RunSummary, is_run, student_of},
};

/// Settings for drawing with a model.
#[derive(Debug, Clone)]
pub struct Drawing {
    pub seeds: Range<u64>,
    pub psi: f32,
    /// The noise; `None` uses a pack's default, and random noise for float networks.
    pub noise: Option<NoiseMode>,
    /// The backend for float networks.
    pub backend: BackendKind,
}

/// Settings for the images of a folder or zip.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// True to include their mirror images.
    pub mirror: bool,
    /// The size that their middle squares are resized to; `None` keeps their size.
    pub resize: Option<usize>,
    /// Whether they are turned upright.
    pub orientation: Orientation,
}

/// The kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    Images,
    Model,
    Pack,
}

/// A set of images, and a key that identifies it.
pub struct Source {
    pub kind: SourceKind,
    pub images: Box<dyn Images>,
    /// A key that is equal for equal images: hashes of files, and the drawing settings.
    pub key: String,
    /// The number of files beside the images that have other formats.
    pub not_read: usize,
}

impl Source {
    /// Opens a model file, a run (its newest student), a folder or a zip of images. Models draw with the settings
    /// `drawing`; all images of a folder or zip are read with the settings `shown`.
    pub fn open(path: &Path, drawing: &Drawing, shown: Shown) -> anyhow::Result<Self> {
        if is_run(path) {
            return Self::of_model(&student_of(path), drawing);
        }
        if path.is_dir() || begins_like_a_zip(path) {
            let Shown { mirror, resize, orientation } = shown;
            let data = opened(path, resize.map_or(ImageSizes::Alike, ImageSizes::Resized), orientation)?;
            let resized = resize.map(|size| format!(" resize {size}")).unwrap_or_default();
            let key = format!("images {} mirror {mirror}{resized} {orientation:?}", content(path, &data)?);
            let not_read = data.not_read().count();
            return Ok(Self { kind: SourceKind::Images, images: Box::new(RealImages { data, mirror }), key, not_read });
        }
        Self::of_model(path, drawing)
    }

    /// Opens a checkpoint or a pack.
    pub fn of_model(path: &Path, drawing: &Drawing) -> anyhow::Result<Self> {
        let Drawing { seeds, psi, noise, backend } = drawing.clone();
        let hash = || sha256_of(path);
        let (kind, noise, hash, images): (_, _, _, Box<dyn Images>) = match ModelFile::open(path)? {
            ModelFile::Checkpoint(checkpoint) => {
                let noise = noise.unwrap_or(NoiseMode::Random);
                let preview = Preview::on(backend, &checkpoint.generator)?;
                (SourceKind::Model, noise, hash()?, Box::new(DrawnImages { preview, seeds: seeds.clone(), psi, noise }))
            }
            ModelFile::Pack(bytes) => {
                let noise = noise.unwrap_or(Pack::open(&bytes)?.noise_default().into());
                (SourceKind::Pack, noise, hash()?, Box::new(PackImages { bytes, seeds: seeds.clone(), psi, noise }))
            }
        };
        let key = format!("model {hash} seeds {}..{} psi {psi} noise {noise:?}", seeds.start, seeds.end);
        Ok(Self { kind, images, key, not_read: 0 })
    }
}

/// Images drawn by the integer engine.
struct PackImages {
    bytes: Vec<u8>,
    seeds: Range<u64>,
    psi: f32,
    noise: NoiseMode,
}

impl Images for PackImages {
    fn len(&self) -> usize {
        (self.seeds.end - self.seeds.start) as usize
    }

    fn batch(&self, range: Range<usize>) -> Result<Array4<f32>, ImageError> {
        // The pack was verified when it was opened.
        let pack = Pack::open(&self.bytes).map_err(|e| e.to_string())?;
        let (size, channels) = (pack.resolution(), pack.channels());
        let psi = (f64::from(self.psi) * f64::from(1 << 14)).round() as i16;
        let mut batch = Array4::zeros((range.len(), 3, size, size));
        for (n, index) in range.enumerate() {
            let seed = self.seeds.start + index as u64;
            let sample = Sample { latent: Latent::Seed(seed), psi, noise: device_noise(self.noise, seed) };
            let image = render(&pack, &sample).map_err(|e| e.to_string())?;
            for (at, byte) in image.into_iter().enumerate() {
                let (pixel, channel) = (at / channels, at % channels);
                // The extractors take three colours, which are equal in a grey image.
                let colours = if channels == 1 { 0..3 } else { channel..channel + 1 };
                colours.for_each(|colour| batch[[n, colour, pixel / size, pixel % size]] = in_steps(byte));
            }
        }
        Ok(batch)
    }
}

fn begins_like_a_zip(path: &Path) -> bool {
    let mut start = [0; 2];
    let file = std::fs::File::open(path);
    file.and_then(|mut f| std::io::Read::read_exact(&mut f, &mut start)).is_ok() && &start == b"PK"
}

/// A hash of all images: of the zip, or of a folder's files and their names.
fn content(path: &Path, data: &Dataset) -> anyhow::Result<String> {
    if path.is_file() {
        return Ok(sha256_of(path)?);
    }
    let mut hash = Sha256::new();
    for index in 0..data.len() {
        let name = data.name(index).unwrap_or_default();
        hash.update(name);
        hash.update([0]);
        hash.update(sha256_of(&path.join(name))?);
    }
    Ok(hex(&hash.finalize()))
}

/// Reads the configuration of a run.
///
/// # Errors
/// The path is not a run; the text asks for `missing`.
pub fn record_of(path: &Path, missing: &str) -> anyhow::Result<RunSummary> {
    if !is_run(path) {
        bail!("{}: name {missing} (a run knows its own, other things do not)", path.display());
    }
    Ok(RunSummary::read(path)?)
}
