//! What a user names to be measured: a model, a run, a folder or a zip of images.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use ndarray::Array4;
use nickeldime_core::{
    generator::{Latent, Sample},
    pack::{NoiseKind, Pack},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{model::Model, pack::device_noise};
use crate::{
    data::Dataset,
    metrics::{
        extractor::sha256_of,
        images::{DrawnImages, ImageError, Images, RealImages, in_steps},
    },
    port::hex,
    preview::{NoiseMode, Preview},
    quantise::render,
    report::run,
};

/// How a model draws.
#[derive(Debug, Clone)]
pub struct Drawing {
    pub seeds: Range<u64>,
    pub psi: f32,
    /// `None`: a pack's own, random noise for float networks.
    pub noise: Option<NoiseMode>,
}

/// What kind of thing was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    Images,
    Model,
    Pack,
}

/// A set of images, and what tells it from others.
pub struct Source {
    pub kind: SourceKind,
    pub images: Box<dyn Images>,
    /// Equal for equal images: hashes of files, and how they are drawn.
    pub key: String,
}

impl Source {
    /// Opens a model file, a run (its newest student), a folder or a zip of images. Models draw as `drawing` says; all
    /// images of a folder or zip are taken, with their mirror images where `mirror` is set.
    pub fn open(path: &Path, drawing: &Drawing, mirror: bool) -> anyhow::Result<Self> {
        if run::is_run(path) {
            return Self::of_model(&run::student(path), drawing);
        }
        if path.is_dir() || begins_like_a_zip(path) {
            let data = Dataset::open(path)?;
            let key = format!("images {} mirror {mirror}", content(path, &data)?);
            return Ok(Self { kind: SourceKind::Images, images: Box::new(RealImages { data, mirror }), key });
        }
        Self::of_model(path, drawing)
    }

    /// Opens a checkpoint or a pack.
    pub fn of_model(path: &Path, drawing: &Drawing) -> anyhow::Result<Self> {
        let Drawing { seeds, psi, noise } = drawing.clone();
        let hash = || sha256_of(path);
        let (kind, noise, hash, images): (_, _, _, Box<dyn Images>) = match Model::open(path)? {
            Model::Checkpoint(checkpoint) => {
                let noise = noise.unwrap_or(NoiseMode::Random);
                let preview = Preview::new(&checkpoint.generator)?;
                (SourceKind::Model, noise, hash()?, Box::new(DrawnImages { preview, seeds: seeds.clone(), psi, noise }))
            }
            Model::Pack(bytes) => {
                let noise = noise.unwrap_or(match Pack::open(&bytes)?.noise_default() {
                    NoiseKind::None => NoiseMode::None,
                    NoiseKind::Const => NoiseMode::Const,
                    NoiseKind::Random => NoiseMode::Random,
                });
                (SourceKind::Pack, noise, hash()?, Box::new(PackImages { bytes, seeds: seeds.clone(), psi, noise }))
            }
        };
        let key = format!("model {hash} seeds {}..{} psi {psi} noise {noise:?}", seeds.start, seeds.end);
        Ok(Self { kind, images, key })
    }
}

/// Images of the integer engine.
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
        // Verified when it was opened.
        let pack = Pack::open(&self.bytes).map_err(|e| e.to_string())?;
        let size = pack.resolution();
        let psi = (f64::from(self.psi) * f64::from(1 << 14)).round() as i16;
        let mut batch = Array4::zeros((range.len(), 3, size, size));
        for (n, index) in range.enumerate() {
            let seed = self.seeds.start + index as u64;
            let sample = Sample { latent: Latent::Seed(seed), psi, noise: device_noise(self.noise, seed) };
            let image = render(&pack, &sample).map_err(|e| e.to_string())?;
            for (at, byte) in image.into_iter().enumerate() {
                let (pixel, channel) = (at / 3, at % 3);
                batch[[n, channel, pixel / size, pixel % size]] = in_steps(byte);
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

/// A hash of all images: of the zip, or of the files of a folder and their names.
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

/// The data that a run learned from.
///
/// # Errors
/// A run that does not say, or a path that is no run.
pub fn data_of(path: &Path) -> anyhow::Result<PathBuf> {
    if !run::is_run(path) {
        bail!("{}: name what to compare it with (a run knows its own data, other things do not)", path.display());
    }
    let record = run::Record::read(path)?;
    record.data.with_context(|| format!("{}: does not say what it learned from; name the images", path.display()))
}
