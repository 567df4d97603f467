//! A run's folder, as the training fills it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use nickeldime_checkpoint::files;
use sha2::{Digest, Sha256};

use super::{error::RunError, layout, log::LogLine, record::Record};

/// Length in bytes of the hash before a saved state.
const HASH: usize = 32;

/// A run's folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    log: Option<File>,
}

impl RunFolder {
    /// Checks that a new run may use this folder.
    ///
    /// # Errors
    /// The folder holds a run already.
    pub fn vacant(path: &Path) -> Result<(), RunError> {
        match layout::record(path).exists() {
            true => Err(RunError::Exists(path.into())),
            false => Ok(()),
        }
    }

    /// Creates the folder and writes the configuration into it.
    ///
    /// # Errors
    /// The folder holds a run already, or cannot be written.
    pub fn create(path: &Path, record: &Record) -> Result<Self, RunError> {
        let run = Self { path: path.into(), log: None };
        Self::vacant(path)?;
        for folder in [run.path.clone(), run.students(), run.grids()] {
            fs::create_dir_all(&folder).map_err(|cause| RunError::File { path: folder, cause })?;
        }
        run.save_record(record)?;
        run.opened_log(0)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_record(&self, record: &Record) -> Result<(), RunError> {
        let json = serde_json::to_vec_pretty(record)
            .map_err(|e| RunError::Damaged { path: self.record_path(), problem: e.to_string() })?;
        self.write(&self.record_path(), &json)
    }

    /// Opens a run to go on with: its record and its saved state (none when it was stopped before its first snapshot).
    ///
    /// # Errors
    /// The folder holds no run, or a file in it is damaged.
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

    /// Reads the configuration of a run.
    ///
    /// # Errors
    /// The folder holds no run, or its configuration is damaged.
    pub fn record(path: &Path) -> Result<Record, RunError> {
        let path_of_record = layout::record(path);
        let json = match fs::read(&path_of_record) {
            Ok(json) => json,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(RunError::NotARun(path.into())),
            Err(cause) => return Err(RunError::File { path: path_of_record, cause }),
        };
        serde_json::from_slice(&json).map_err(|e| RunError::Damaged { path: path_of_record, problem: e.to_string() })
    }

    /// Opens the log for iteration `step`, counted from 0. Later lines belong to iterations that were not saved and are
    /// dropped.
    ///
    /// # Errors
    /// The log cannot be read or written.
    pub fn opened_log(mut self, step: u64) -> Result<Self, RunError> {
        let path = layout::log(&self.path);
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
    /// Errors of the file system.
    pub fn log(&mut self, line: &LogLine) -> Result<(), RunError> {
        let path = layout::log(&self.path);
        let Some(log) = &mut self.log else { return Ok(()) };
        let text = serde_json::to_string(line)
            .map_err(|e| RunError::Damaged { path: path.clone(), problem: e.to_string() })?;
        log.write_all(format!("{text}\n").as_bytes()).map_err(|cause| RunError::File { path, cause })
    }

    /// Saves the state to continue from. The file appears only when it is complete.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn save_state(&self, state: &[u8]) -> Result<(), RunError> {
        self.write(&self.state_path(), &[&Sha256::digest(state)[..], state].concat())
    }

    /// Path of the run's own embedder.
    pub fn embedder(&self) -> PathBuf {
        self.path.join(layout::EMBEDDER)
    }

    /// Path of the teacher's global moments.
    pub fn moments(&self) -> PathBuf {
        layout::moments(&self.path)
    }

    /// Path of the folder with the teacher's features.
    pub fn bank(&self) -> PathBuf {
        layout::bank(&self.path)
    }

    /// Path of the newest student.
    pub fn student(&self) -> PathBuf {
        layout::student_of(&self.path)
    }

    /// Path of the student after this many images.
    pub fn student_at(&self, images: u64) -> PathBuf {
        self.students().join(format!("{images:09}.safetensors"))
    }

    /// Path of the grid after this many images.
    pub fn grid_at(&self, images: u64) -> PathBuf {
        self.grids().join(format!("{images:09}.png"))
    }

    /// Path of the teacher's grid, of the same latents.
    pub fn teacher_grid(&self) -> PathBuf {
        layout::teacher_grid(&self.path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RunError> {
        files::replace(path, |out| out.write_all(bytes)).map_err(|cause| RunError::File { path: path.into(), cause })
    }

    fn record_path(&self) -> PathBuf {
        layout::record(&self.path)
    }

    fn state_path(&self) -> PathBuf {
        layout::state(&self.path)
    }

    fn students(&self) -> PathBuf {
        layout::students(&self.path)
    }

    fn grids(&self) -> PathBuf {
        layout::grids_folder(&self.path)
    }
}
