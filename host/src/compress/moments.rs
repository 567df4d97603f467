//! The teacher's global moments (`docs/method.md` section 3). They are measured once over many images and kept in a
//! file that names the teacher and the embedders; for any other teacher or embedder the file is refused.
//!
//! For each embedding phi_k, `m1_k = E[phi_k(x)]` and `m2_k = E[phi_k(x)^2]`, element by element, over x = G_T(z) without
//! truncation and with the noise that the checkpoint stores. The latents are those of consecutive seeds, as everywhere in
//! this crate. Sums are taken in double precision, image by image, so neither the batch size nor the number of images
//! costs digits.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use burn::tensor::{Tensor, TensorData, backend::Backend};
use ndarray::Array1;
use nickeldime_checkpoint::{
    CheckpointError, Metadata, Tensors, model::weights::GeneratorWeights, read_tensors, write_tensors,
};
use sha2::{Digest, Sha256};

use super::{
    dime::Moments,
    error::{CompressError, MomentsError},
};
use crate::{
    embed::EmbedderWeights,
    hash::hex,
    nets::{
        draws::latents,
        generator::{Generator, Noise},
        names,
    },
    progress::Progress,
};

/// The kind of file, as the file's metadata name it.
const FORMAT: &str = "nickeldime global moments 1";

/// The default number of images that are drawn at once.
pub const BATCH: usize = 16;

/// The images that moments are measured over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// The number of images; at least 1.
    pub samples: usize,
    /// The latent seed of the first image; the others have the seeds after it.
    pub seed: u64,
    /// The number of images that are drawn at once; at least 1.
    pub batch: usize,
}

/// The moments of one teacher in some embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalMoments {
    /// The teacher's [`fingerprint`].
    pub teacher: String,
    /// The number of images that were drawn.
    pub samples: usize,
    /// The latent seed of the first image.
    pub seed: u64,
    /// The moments in each embedding, by [`EmbedderWeights::name`].
    rows: BTreeMap<String, Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    /// The SHA-256 of the embedder's file.
    sha256: String,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// The SHA-256 of a generator's weights as hexadecimal text. It is the same for a .pkl and for the safetensors file
/// made from it.
pub fn fingerprint(generator: &GeneratorWeights) -> String {
    let mut hash = Sha256::new();
    for (name, array) in &generator.tensors {
        hash.update(format!("{name} {:?}\n", array.shape()));
        for number in array {
            hash.update(number.to_le_bytes());
        }
    }
    hash.update(format!("clamp {:?}", generator.arch.conv_clamp));
    hex(&hash.finalize())
}

impl GlobalMoments {
    /// Draws the teacher's images and measures their moments in every embedding. Without embeddings it draws no images.
    ///
    /// # Errors
    /// `progress` asked to stop.
    pub fn measure<B: Backend>(
        teacher: &GeneratorWeights,
        embedders: &[EmbedderWeights],
        sampling: Sampling,
        device: &B::Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, CompressError> {
        let Sampling { samples, seed, .. } = sampling;
        let mut moments = Self { teacher: fingerprint(teacher), samples, seed, rows: BTreeMap::new() };
        if embedders.is_empty() {
            return Ok(moments);
        }
        let mut sums: Vec<[Vec<f64>; 2]> =
            embedders.iter().map(|e| [0, 1].map(|_| vec![0.0; e.spec.kind.features()])).collect();
        embed_images::<B>(teacher, embedders, sampling, device, ("global moments", progress), |index, features| {
            if let Some(sums) = sums.get_mut(index) {
                add(sums, features);
            }
        })?;
        for (embedder, sums) in embedders.iter().zip(sums) {
            let [first, second] = sums.map(|sum| sum.into_iter().map(|x| (x / samples as f64) as f32).collect());
            let row = Row { sha256: embedder.sha256.clone(), first, second };
            moments.rows.insert(embedder.name(), row);
        }
        Ok(moments)
    }

    /// The names of the embeddings.
    pub fn embedders(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// Writes the moments and their origin into a file, whole or not at all. Equal moments give equal files.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let mut tensors = Tensors::new();
        let mut metadata = Metadata::from(
            [
                ("format", FORMAT.to_string()),
                ("teacher", self.teacher.clone()),
                ("samples", self.samples.to_string()),
                ("seed", self.seed.to_string()),
                ("noise", "const".into()),
            ]
            .map(|(key, value)| (key.to_string(), value)),
        );
        for (name, row) in &self.rows {
            metadata.insert(format!("{name}.sha256"), row.sha256.clone());
            for (part, values) in [("first", &row.first), ("second", &row.second)] {
                tensors.insert(format!("{name}.{part}"), Array1::from(values.clone()).into_dyn());
            }
        }
        write_tensors(path, &tensors, &metadata)
    }

    /// Reads a file of moments.
    ///
    /// # Errors
    /// The file is missing, damaged, or not a file of moments.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let (mut tensors, metadata) = read_tensors(path)?;
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            let problem = "not a file of global moments, as `nickeldime moments` writes".into();
            return Err(CheckpointError::Format { file: path.into(), problem });
        }
        let wrong = |place: &str, problem: &str| {
            let (file, place) = (path.to_path_buf(), place.escape_debug().to_string());
            CheckpointError::Network { file, place, problem: problem.into() }
        };
        let said = |key: &str| metadata.get(key).ok_or_else(|| wrong(key, "missing in the metadata: damaged"));
        fn number<T: FromStr>(text: &str) -> Option<T> {
            text.parse().ok()
        }
        let samples = number(said("samples")?).ok_or_else(|| wrong("samples", "not a count: damaged"))?;
        let seed = number(said("seed")?).ok_or_else(|| wrong("seed", "not a seed: damaged"))?;
        let mut rows = BTreeMap::new();
        for (key, sha256) in &metadata {
            let Some(name) = key.strip_suffix(".sha256") else { continue };
            let mut part = |part: &str| {
                let place = format!("{name}.{part}");
                let array = tensors.remove(&place).ok_or_else(|| wrong(&place, "missing: damaged"))?;
                match array.iter().all(|x| x.is_finite()) {
                    true => Ok(array.iter().copied().collect()),
                    false => Err(wrong(&place, "numbers that are not finite: damaged")),
                }
            };
            let row = Row { sha256: sha256.clone(), first: part("first")?, second: part("second")? };
            rows.insert(name.to_string(), row);
        }
        Ok(Self { teacher: said("teacher")?.clone(), samples, seed, rows })
    }

    /// Checks that these moments belong to this teacher and cover all of these embeddings. `file` is their path, for
    /// the error.
    ///
    /// # Errors
    /// The moments belong to another teacher, or lack an embedding.
    pub fn check(
        &self,
        file: &Path,
        teacher: &GeneratorWeights,
        embedders: &[EmbedderWeights],
    ) -> Result<(), MomentsError> {
        let expected = fingerprint(teacher);
        if self.teacher != expected {
            let found = self.teacher.escape_debug().to_string();
            return Err(MomentsError::Teacher { file: file.into(), found, expected });
        }
        for embedder in embedders {
            self.row(file, embedder)?;
        }
        Ok(())
    }

    /// The moments in one embedding as tensors on a device; `None` if they were not measured in it.
    pub fn of<B: Backend>(&self, embedder: &EmbedderWeights, device: &B::Device) -> Option<Moments<B>> {
        let Row { first, second, .. } = self.row(Path::new(""), embedder).ok()?;
        let row = |values: &Vec<f32>| Tensor::from_data(TensorData::new(values.clone(), [1, values.len()]), device);
        Some(Moments { first: row(first), second: row(second) })
    }

    fn row(&self, file: &Path, embedder: &EmbedderWeights) -> Result<&Row, MomentsError> {
        let wanted = embedder.name();
        let features = embedder.spec.kind.features();
        match self.rows.get(&wanted) {
            Some(row) if row.sha256 == embedder.sha256 => {
                for (part, values) in [("first", &row.first), ("second", &row.second)] {
                    if values.len() != features {
                        let problem = format!("{} numbers for {features} features: damaged", values.len());
                        let place = format!("{wanted}.{part}");
                        return Err(CheckpointError::Network { file: file.into(), place, problem }.into());
                    }
                }
                Ok(row)
            }
            _ => {
                let has: Vec<_> = self.rows.keys().map(|name| name.escape_debug().to_string()).collect();
                let has = if has.is_empty() { "none".into() } else { has.join(", ") };
                Err(MomentsError::Embedder { file: file.into(), wanted, has })
            }
        }
    }
}

/// Draws a model's images in batches and passes the features `[images, features]` of every batch to a function,
/// together with the embedding's position in the list.
///
/// # Errors
/// The stage's `progress` asked to stop.
pub fn embed_images<B: Backend>(
    model: &GeneratorWeights,
    embedders: &[EmbedderWeights],
    Sampling { samples, seed, batch }: Sampling,
    device: &B::Device,
    (what, progress): (&str, &mut dyn Progress),
    mut see: impl FnMut(usize, Tensor<B, 2>),
) -> Result<(), CompressError> {
    let generator: Generator<B> = names::load(Generator::new(&model.arch, device), &model.tensors)?;
    let networks: Result<Vec<_>, _> = embedders.iter().map(|weights| weights.build::<B>(device)).collect();
    let networks = networks?;
    progress.begin(what, "img", samples as u64);
    for start in (0..samples).step_by(batch.max(1)) {
        let end = samples.min(start + batch.max(1));
        let seeds: Vec<u64> = (start..end).map(|i| seed.wrapping_add(i as u64)).collect();
        let ws = generator.ws(latents(&seeds, model.arch.z_dim, device));
        let images = generator.synthesise(ws, &Noise::Const);
        for (index, network) in networks.iter().enumerate() {
            see(index, network.features(images.clone()));
        }
        progress.at(end as u64, "");
        if progress.stopped() {
            return Err(CompressError::Stopped);
        }
    }
    progress.end();
    Ok(())
}

/// Adds the features of every image and their squares to the sums.
fn add<B: Backend>(sums: &mut [Vec<f64>; 2], features: Tensor<B, 2>) {
    let [_, width] = features.dims();
    let values: Vec<f64> = features.into_data().iter().collect();
    let [first, second] = sums;
    for image in values.chunks_exact(width.max(1)) {
        for ((first, second), x) in first.iter_mut().zip(second.iter_mut()).zip(image) {
            *first += x;
            *second += x * x;
        }
    }
}
