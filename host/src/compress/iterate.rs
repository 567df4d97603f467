//! The loop of a training: draws real images in their order and runs the iterations.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use nickeldime_checkpoint::{model::arch::GREY, random::Stream};

use super::{
    error::CompressError,
    settings::Settings,
    trainer::{Losses, Trainer},
};
use crate::{
    data::{Batch, Dataset, ahead, luminance},
    progress::Progress,
};

/// The number of iterations in a row that may have gradients that are not finite.
const PATIENCE: u32 = 100;

/// Iterates until the end that the settings name, or until `progress` asks to stop. After every iteration `observe`
/// gets the trainer and the iteration's losses.
///
/// # Errors
/// An image that cannot be read, gradients that stay not finite, or an error of `observe`.
pub fn train<A: AutodiffBackend, E: From<CompressError>>(
    trainer: &mut Trainer<A>,
    data: &Dataset,
    progress: &mut dyn Progress,
    mut observe: impl FnMut(&Losses, &Trainer<A>) -> Result<(), E>,
) -> Result<(), E> {
    let total = trainer.settings.iterations();
    let batch = trainer.settings.batch as u64;
    let mut broken = 0;
    progress.begin("training", "img", total * batch);
    progress.at(trainer.step * batch, "");
    let settings = trainer.settings.clone();
    let plan = |step| real_batch(&settings, data.len(), step);
    ahead(data, plan, trainer.step..total, |batches| {
        for real in batches {
            if progress.stopped() {
                break;
            }
            let mut real = real.map_err(CompressError::from)?;
            if trainer.student.img_channels() == GREY {
                real = luminance(real.view());
            }
            let shape = real.shape().to_vec();
            let real = TensorData::new(real.into_raw_vec_and_offset().0, shape);
            let losses = trainer.iterate(Tensor::from_data(real, &trainer.device));
            progress.at(trainer.step * batch, &losses.note());
            observe(&losses, trainer)?;
            broken = if losses.replaced > 0 { broken + 1 } else { 0 };
            if broken == PATIENCE {
                return Err(CompressError::NotFinite(broken).into());
            }
        }
        progress.end();
        Ok(())
    })
}

/// The indices of an iteration's real images. The dataset gets a new random order each time that all its images were
/// shown.
fn real_batch(settings: &Settings, images: usize, step: u64) -> Batch {
    let Settings { batch, seed, mirror, .. } = *settings;
    let start = step as usize * batch;
    let mut order = (usize::MAX, Vec::new());
    let mut indices = Vec::with_capacity(batch);
    for at in start..start + batch {
        let epoch = at / images;
        if order.0 != epoch {
            let mut stream = Stream::new(seed, "order of images", epoch as u64);
            order = (epoch, stream.permutation(images));
        }
        indices.push(order.1[at % images]);
    }
    let mut stream = Stream::new(seed, "mirror", step);
    let flips = indices.iter().map(|_| mirror && stream.uniform() < 0.5).collect();
    Batch { indices, flips }
}
