//! A run's folder: what was asked for, the log, snapshots, and the state to go on from.
//!
//! ```text
//! run.json             what was asked for: settings, inputs, hashes
//! log.jsonl            one line an iteration
//! student.safetensors  the newest student
//! students/NNNNNNNNN.safetensors   the students by images seen
//! grids/teacher.png, grids/NNNNNNNNN.png   the same latents over time
//! embedder.safetensors an embedder of its own, where none was given
//! moments.safetensors  the teacher's global moments
//! bank/                 the teacher's features, for --mmd rbf and poly
//! state                what `--resume` goes on from
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use nickeldime_checkpoint::{
    files,
    model::arch::{DiscriminatorArch, GeneratorArch},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    backend::Choice,
    compress::{settings::Settings, trainer::Losses},
    embed::spec::EmbedSpec,
    hash::sha256,
};

/// The name of what was asked for.
pub(crate) const RECORD: &str = "run.json";
/// Bytes of the hash in front of a saved state.
const HASH: usize = 32;

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The file system.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        cause: std::io::Error,
    },
    /// There is a run in the folder already.
    #[error("{}: already holds a run; name a new folder, or go on with --resume", .0.display())]
    Exists(PathBuf),
    /// There is no run in the folder.
    #[error("{}: holds no run to go on with (no run.json)", .0.display())]
    None(PathBuf),
    /// A file of the run is damaged.
    #[error("{}: damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In which way.
        problem: String,
    },
    /// An input is not what it was when the run began.
    #[error("{}: is not the file that the run began with", .0.display())]
    Changed(PathBuf),
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The program's version.
    pub version: String,
    /// The teacher's file; none for a training from scratch.
    pub teacher: Option<PathBuf>,
    /// SHA-256 of the teacher's file and of the embedders', by path: a resumed run must find the same.
    pub sha256: BTreeMap<PathBuf, String>,
    /// The shapes of a training from scratch.
    pub scratch: Option<(GeneratorArch, DiscriminatorArch)>,
    /// Content masks for scoring channels.
    pub masks: Option<PathBuf>,
    /// The real images.
    pub data: PathBuf,
    /// The size that their middle squares are brought to; none: they have theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// The embeddings.
    pub embeds: Vec<EmbedSpec>,
    /// Whether it makes an embedder of its own images, none being given.
    #[serde(default)]
    pub own_embedder: bool,
    /// What stands in for parts of the published method, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitutions: Vec<String>,
    /// Where it is computed, unless a resumed run is told otherwise.
    #[serde(default)]
    pub backend: Choice,
    /// The settings, resolved.
    pub settings: Settings,
}

impl Record {
    /// Reads an input file; a run that goes on must find the file that it began with.
    ///
    /// # Errors
    /// What the file system says, or that the file has changed.
    pub fn read_input(&mut self, path: &Path) -> Result<Vec<u8>, RunError> {
        let bytes = fs::read(path).map_err(|cause| RunError::File { path: path.into(), cause })?;
        let sha256 = sha256(&bytes);
        match self.sha256.entry(path.into()).or_insert_with(|| sha256.clone()) == &sha256 {
            true => Ok(bytes),
            false => Err(RunError::Changed(path.into())),
        }
    }

    /// A run on these images, with the default settings and nothing else.
    pub fn new(data: PathBuf) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            teacher: None,
            sha256: BTreeMap::new(),
            scratch: None,
            masks: None,
            data,
            resize: None,
            embeds: Vec::new(),
            own_embedder: false,
            substitutions: Vec::new(),
            backend: Choice::default(),
            settings: Settings::default(),
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Real images seen.
    pub images: u64,
    /// Seconds of training in this process.
    pub seconds: f64,
    /// The iteration's numbers.
    #[serde(flatten)]
    pub losses: Losses,
}

/// A run's folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    log: Option<File>,
}

impl RunFolder {
    /// Whether a new run may have this folder.
    ///
    /// # Errors
    /// There is a run in it.
    pub fn vacant(path: &Path) -> Result<(), RunError> {
        match path.join(RECORD).exists() {
            true => Err(RunError::Exists(path.into())),
            false => Ok(()),
        }
    }

    /// Makes the folder and writes down what was asked for.
    ///
    /// # Errors
    /// A folder that holds a run, or cannot be written.
    pub fn create(path: &Path, record: &Record) -> Result<Self, RunError> {
        let run = Self { path: path.into(), log: None };
        Self::vacant(path)?;
        for folder in [run.path.clone(), run.students(), run.grids()] {
            fs::create_dir_all(&folder).map_err(|cause| RunError::File { path: folder, cause })?;
        }
        let json = serde_json::to_vec_pretty(record)
            .map_err(|e| RunError::Damaged { path: run.record_path(), problem: e.to_string() })?;
        run.write(&run.record_path(), &json)?;
        run.opened_log(0)
    }

    /// Opens a run to go on with: its record and its saved state (none when it was stopped before its first snapshot).
    ///
    /// # Errors
    /// A folder without a run, or a damaged one.
    pub fn resume(path: &Path) -> Result<(Self, Record, Option<Vec<u8>>), RunError> {
        let run = Self { path: path.into(), log: None };
        let record = Self::record(path)?;
        let state = match fs::read(run.state_path()) {
            Ok(bytes) => Some(bytes),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(RunError::File { path: run.state_path(), cause }),
        };
        let state = state.map(|mut bytes| match bytes.split_at_checked(HASH) {
            Some((hash, state)) if hash == &Sha256::digest(state)[..] => {
                bytes.drain(..HASH);
                Ok(bytes)
            }
            _ => Err(RunError::Damaged { path: run.state_path(), problem: "its hash is not its content's".into() }),
        });
        Ok((run, record, state.transpose()?))
    }

    /// What a run was asked for.
    ///
    /// # Errors
    /// A folder without a run, or a damaged record.
    pub fn record(path: &Path) -> Result<Record, RunError> {
        let path_of_record = path.join(RECORD);
        let json = match fs::read(&path_of_record) {
            Ok(json) => json,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(RunError::None(path.into())),
            Err(cause) => return Err(RunError::File { path: path_of_record, cause }),
        };
        serde_json::from_slice(&json).map_err(|e| RunError::Damaged { path: path_of_record, problem: e.to_string() })
    }

    /// The log open for iteration `step` (from 0): later lines, of iterations that were not saved, are dropped.
    ///
    /// # Errors
    /// A log that cannot be read or written.
    pub fn opened_log(mut self, step: u64) -> Result<Self, RunError> {
        let path = self.path.join("log.jsonl");
        let failed = |cause| RunError::File { path: path.clone(), cause };
        let mut kept = Vec::new();
        if step > 0 {
            let log = BufReader::new(File::open(&path).map_err(failed)?);
            for line in log.lines().take(usize::try_from(step).unwrap_or(usize::MAX)) {
                kept.extend(line.map_err(failed)?.bytes().chain([b'\n']));
            }
        }
        files::replace(&path, |out| out.write_all(&kept)).map_err(failed)?;
        self.log = Some(File::options().append(true).open(&path).map_err(failed)?);
        Ok(self)
    }

    /// Adds a line to the log.
    ///
    /// # Errors
    /// What the file system says.
    pub fn log(&mut self, line: &LogLine) -> Result<(), RunError> {
        let path = self.path.join("log.jsonl");
        let Some(log) = &mut self.log else { return Ok(()) };
        let text = serde_json::to_string(line)
            .map_err(|e| RunError::Damaged { path: path.clone(), problem: e.to_string() })?;
        log.write_all(format!("{text}\n").as_bytes()).map_err(|cause| RunError::File { path, cause })
    }

    /// Saves the state to go on from, whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_state(&self, state: &[u8]) -> Result<(), RunError> {
        self.write(&self.state_path(), &[&Sha256::digest(state)[..], state].concat())
    }

    /// The embedder of its own images.
    pub fn embedder(&self) -> PathBuf {
        self.path.join("embedder.safetensors")
    }

    /// The teacher's global moments.
    pub fn moments(&self) -> PathBuf {
        self.path.join("moments.safetensors")
    }

    /// The folder of the teacher's features.
    pub fn bank(&self) -> PathBuf {
        self.path.join("bank")
    }

    /// The newest student.
    pub fn student(&self) -> PathBuf {
        student_of(&self.path)
    }

    /// The student after so many images.
    pub fn student_at(&self, images: u64) -> PathBuf {
        self.students().join(format!("{images:09}.safetensors"))
    }

    /// The grid after so many images.
    pub fn grid_at(&self, images: u64) -> PathBuf {
        self.grids().join(format!("{images:09}.png"))
    }

    /// The grid of the teacher, at the same latents.
    pub fn teacher_grid(&self) -> PathBuf {
        self.grids().join("teacher.png")
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RunError> {
        files::replace(path, |out| out.write_all(bytes)).map_err(|cause| RunError::File { path: path.into(), cause })
    }

    fn record_path(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    fn students(&self) -> PathBuf {
        self.path.join("students")
    }

    fn grids(&self) -> PathBuf {
        self.path.join("grids")
    }
}

/// The newest student of the run in a folder.
pub fn student_of(run: &Path) -> PathBuf {
    run.join("student.safetensors")
}
