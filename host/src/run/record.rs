//! A run's `run.json`: the configuration that it began with.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nickeldime_checkpoint::model::arch::{DiscriminatorArch, GeneratorArch};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use crate::{
    backend::BackendKind, compress::settings::Settings, data::Orientation, embed::spec::EmbedSpec, hash::sha256,
};

/// A run's configuration, as saved in `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The program's version.
    pub version: String,
    /// The teacher's file; none for a training without one.
    pub teacher: Option<PathBuf>,
    /// SHA-256 of the teacher's file and of the embedders' files, by path. A resumed run must find the same files.
    pub sha256: BTreeMap<PathBuf, String>,
    /// The shapes of a training without a teacher.
    pub scratch: Option<(GeneratorArch, DiscriminatorArch)>,
    /// The checkpoint that a training began with in place of random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Content masks for scoring channels.
    pub masks: Option<PathBuf>,
    /// The real images.
    pub data: PathBuf,
    /// The size to which the images' middle squares are resized; `None` keeps their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// Whether they are turned upright.
    #[serde(default = "stored")]
    pub orientation: Orientation,
    /// The embeddings.
    pub embeds: Vec<EmbedSpec>,
    /// True if the run trains an embedder on its own images, because none was given.
    #[serde(default)]
    pub own_embedder: bool,
    /// One sentence for each part of the published method that this program replaces by something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitutions: Vec<String>,
    /// The backend, unless a resumed run is told to use another.
    #[serde(default)]
    pub backend: BackendKind,
    /// The settings, with all presets and flags applied.
    pub settings: Settings,
}

/// Runs of versions that did not write it took images as they were stored.
fn stored() -> Orientation {
    Orientation::Stored
}

impl Record {
    /// Reads an input file and records its hash. A resumed run must find the file that it began with.
    ///
    /// # Errors
    /// Errors of the file system, or the file has changed.
    pub fn read_input(&mut self, path: &Path) -> Result<Vec<u8>, RunError> {
        let bytes = fs::read(path).map_err(|cause| RunError::File { path: path.into(), cause })?;
        let sha256 = sha256(&bytes);
        match self.sha256.entry(path.into()).or_insert_with(|| sha256.clone()) == &sha256 {
            true => Ok(bytes),
            false => Err(RunError::Changed(path.into())),
        }
    }

    /// A configuration for these images, with the default settings and nothing else.
    pub fn new(data: PathBuf) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            teacher: None,
            sha256: BTreeMap::new(),
            scratch: None,
            from: None,
            masks: None,
            data,
            resize: None,
            orientation: Orientation::default(),
            embeds: Vec::new(),
            own_embedder: false,
            substitutions: Vec::new(),
            backend: BackendKind::default(),
            settings: Settings::default(),
        }
    }
}
