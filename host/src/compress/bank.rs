//! The teacher's distribution in each embedding: global moments, or a bank of features.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use ndarray::Array2;
use nickeldime_checkpoint::model::weights::GeneratorWeights;

use super::{
    dime::MomentTarget,
    error::CompressError,
    mmd::{Bank, Mmd},
    moments::{GlobalMoments, Sampling, embed_images, fingerprint},
};
use crate::{embed::EmbedderWeights, metrics::cache::FeatureCache, progress::Progress};

/// The teacher's distribution, which the student's is compared with.
#[derive(Debug, Clone)]
pub enum TeacherSide {
    /// Global moments, for [`Mmd::Moments`].
    Moments(GlobalMoments),
    /// Features `[images, features]` for each embedder, in the embedders' order, for the MMD kernels.
    Banks(Mmd, Vec<Array2<f32>>),
}

impl TeacherSide {
    /// The teacher's distribution in one embedding, as tensors on a device; `None` if it was not measured in that
    /// embedding. `index` is the embedder's position in the list.
    pub fn target<B: Backend>(
        &self,
        index: usize,
        embedder: &EmbedderWeights,
        device: &B::Device,
    ) -> Option<MomentTarget<B>> {
        match self {
            Self::Moments(moments) => moments.of(embedder, device).map(MomentTarget::Moments),
            Self::Banks(mmd, banks) => {
                let features = banks.get(index).filter(|bank| bank.ncols() == embedder.spec.kind.features())?;
                let shape = [features.nrows(), features.ncols()];
                let data = TensorData::new(features.iter().copied().collect(), shape);
                Bank::new(*mmd, Tensor::from_data(data, device)).map(MomentTarget::Bank)
            }
        }
    }
}

/// The features of the teacher's images in every embedding. Features that the cache lacks are computed and added to it.
///
/// # Errors
/// `progress` asked to stop, or the cache cannot be written.
pub fn banks<B: Backend>(
    teacher: &GeneratorWeights,
    embedders: &[EmbedderWeights],
    sampling: Sampling,
    cache: &FeatureCache,
    device: &B::Device,
    progress: &mut dyn Progress,
) -> Result<Vec<Array2<f32>>, CompressError> {
    let Sampling { samples, seed, .. } = sampling;
    let teacher_hash = fingerprint(teacher);
    let key = |embedder: &EmbedderWeights| {
        format!("{} {} teacher {teacher_hash} seed {seed} noise const", embedder.spec.kind.name(), embedder.sha256)
    };
    let fits = |bank: &Array2<f32>, embedder: &EmbedderWeights| {
        bank.ncols() == embedder.spec.kind.features() && bank.iter().all(|x| x.is_finite())
    };
    let known: Option<Vec<_>> =
        embedders.iter().map(|e| cache.get(&key(e), samples).filter(|bank| fits(bank, e))).collect();
    if let Some(known) = known {
        return Ok(known);
    }
    let banks = features::<B>(teacher, embedders, sampling, device, ("teacher features", progress))?;
    for (embedder, bank) in embedders.iter().zip(&banks) {
        cache.put(&key(embedder), bank)?;
    }
    Ok(banks)
}

/// The features `[images, features]` of a model's images in every embedding, in the embedders' order.
///
/// # Errors
/// The stage's `progress` asked to stop.
pub(super) fn features<B: Backend>(
    model: &GeneratorWeights,
    embedders: &[EmbedderWeights],
    sampling: Sampling,
    device: &B::Device,
    stage: (&str, &mut dyn Progress),
) -> Result<Vec<Array2<f32>>, CompressError> {
    let mut values: Vec<Vec<f32>> = vec![Vec::new(); embedders.len()];
    embed_images::<B>(model, embedders, sampling, device, stage, |index, features| {
        if let Some(values) = values.get_mut(index) {
            values.extend(features.into_data().iter::<f32>());
        }
    })?;
    let table = |(embedder, values): (&EmbedderWeights, Vec<f32>)| {
        Array2::from_shape_vec((sampling.samples, embedder.spec.kind.features()), values).unwrap_or_default()
    };
    Ok(embedders.iter().zip(values).map(table).collect())
}
