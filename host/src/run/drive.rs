//! The training that fills a run's folder: log, snapshots, grids, and the state to continue from.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::backend::AutodiffBackend;
use nickeldime_checkpoint::{
    Checkpoint, CheckpointError, DiscriminatorWeights, GeneratorWeights, model::arch::ArchError, write_checkpoint,
};
use serde::Serialize;

use super::{error::RunError, folder::RunFolder, log::LogLine};
use crate::{
    compress::{error::CompressError, iterate::train, state, trainer::Trainer},
    data::Dataset,
    draw::{DrawError, DrawRequest, Latents, NoiseMode, Preview},
    nets::names,
    picture::PictureError,
    progress::{Progress, Silent},
};

/// The number of latents in a run's grids.
const GRID: u64 = 32;
const COLUMNS: usize = 8;

/// Errors of a training that fills a run's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The training broke down.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// The run's folder failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A grid could not be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// A grid could not be written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The weights are not finite.
    #[error("{0}")]
    Arch(#[from] ArchError),
}

/// The result of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trained {
    /// The run's folder.
    pub run: PathBuf,
    /// The newest student.
    pub student: PathBuf,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// False if the training was stopped before its end.
    pub finished: bool,
    /// Seconds of training in this call.
    pub seconds: f64,
    /// Real images for each of these seconds.
    pub images_per_second: f64,
}

/// Iterates to the end that the settings name, or until `progress` asks to stop, and fills the run's folder. The first
/// snapshot is the state that the training began with; the last is made in both cases.
///
/// # Errors
/// The training breaks down, an image cannot be read, or the folder cannot be written.
pub fn drive<A: AutodiffBackend>(
    trainer: &mut Trainer<A>,
    data: &Dataset,
    mut run: RunFolder,
    path: &Path,
    with_critic: bool,
    progress: &mut dyn Progress,
) -> Result<Trained, TrainingError> {
    let started = Instant::now();
    let first = trainer.step;
    let batch = trainer.settings.batch as u64;
    let every = trainer.settings.snapshot_iterations();
    let mut saved = None;
    if first == 0 {
        snapshot(trainer, &run, with_critic)?;
        saved = Some(0);
    }
    train(trainer, data, progress, |losses, trainer| -> Result<(), TrainingError> {
        let seconds = started.elapsed().as_secs_f64();
        run.log(&LogLine { images: trainer.step * batch, seconds, losses: *losses })?;
        if trainer.step.is_multiple_of(every) {
            snapshot(trainer, &run, with_critic)?;
            saved = Some(trainer.step);
        }
        Ok(())
    })?;
    if saved != Some(trainer.step) {
        snapshot(trainer, &run, with_critic)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Trained {
        run: path.into(),
        student: run.student(),
        kimg: (trainer.step * batch) as f64 / 1000.0,
        finished: trainer.finished(),
        seconds,
        images_per_second: ((trainer.step - first) * batch) as f64 / seconds,
    })
}

/// Writes the student, its grid, and (last) the state: a resumed run finds them in step.
fn snapshot<A: AutodiffBackend>(trainer: &Trainer<A>, run: &RunFolder, with_critic: bool) -> Result<(), TrainingError> {
    let images = trainer.step * trainer.settings.batch as u64;
    let student = student(trainer)?;
    write_grid(&student, &run.grid_at(images))?;
    let discriminator = with_critic.then(|| critic(trainer)).transpose()?;
    let checkpoint = Checkpoint { discriminator, ..Checkpoint::of_generator(student) };
    for path in [run.student_at(images), run.student()] {
        write_checkpoint(&path, &checkpoint, &Default::default())?;
    }
    Ok(run.save_state(&state::save(trainer).map_err(CompressError::from)?)?)
}

/// The student's moving average, which is the product of a training.
///
/// # Errors
/// The weights are not finite.
pub fn student<A: AutodiffBackend>(trainer: &Trainer<A>) -> Result<GeneratorWeights, TrainingError> {
    let average = &trainer.average;
    Ok(GeneratorWeights::from_tensors(names::export(average), average.clamp)?)
}

fn critic<A: AutodiffBackend>(trainer: &Trainer<A>) -> Result<DiscriminatorWeights, TrainingError> {
    let network = &trainer.student_critic.network;
    Ok(DiscriminatorWeights::from_tensors(names::export(network), network.b4.group, network.clamp)?)
}

/// Draws a generator at the latents of all grids of a run.
///
/// # Errors
/// Weights that do not fit their architecture; errors of the file system.
pub fn write_grid(generator: &GeneratorWeights, path: &Path) -> Result<(), TrainingError> {
    let latents = Latents::Seeds((0..GRID).collect());
    let drawing = DrawRequest { latents: &latents, psi: 1.0, noise: Some(NoiseMode::Const) };
    let drawn = drawing.in_float(&Preview::new(generator)?, &mut Silent)?;
    Ok(drawn.write_grid(path, COLUMNS)?)
}
