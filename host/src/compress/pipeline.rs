//! Sets up a trainer from a teacher, images and settings, and runs it.

use burn::tensor::backend::AutodiffBackend;
use nickeldime_checkpoint::model::{
    arch::block_resolution,
    cost::Cost,
    initial,
    weights::{DiscriminatorWeights, GeneratorWeights},
};

use super::{
    bank::TeacherSide,
    baselines::relation::Directions,
    error::CompressError,
    imitation::{EnergyPlayer, Imitation},
    inputs::{Inputs, Players},
    nickel,
    settings::Settings,
    start::{Beginning, begin, one_mask, perceptual_embedder},
    state,
    trainer::{EmbeddingTerm, Trainer},
};
use crate::{
    embed::EmbedderWeights,
    nets::{generator::Generator, names},
    progress::Progress,
};

/// The largest number of parameters that is accepted; the largest official generator has 30 million.
const MAX_PARAMS: u64 = 1 << 30;
/// The point at which a training begins.
pub enum Start {
    /// Begin with the pruned teacher or with random weights.
    Fresh,
    /// Continue from a saved state ([`super::state::save`]).
    Saved(Vec<u8>),
}

/// Prunes the teacher, or restores a saved state, and sets up all networks and optimisers. `side` is the teacher's
/// distribution in all embeddings.
///
/// # Errors
/// The inputs do not fit together; the error has the numbers.
pub fn prepare<A: AutodiffBackend>(
    inputs: Inputs<'_>,
    side: &TeacherSide,
    settings: &Settings,
    start: Start,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Trainer<A>, CompressError> {
    let dense = &inputs.teacher.generator;
    let critic = check(&inputs, settings)?;
    let parts = settings.method.parts();
    let teacher = names::load(Generator::new(&dense.arch, device), &dense.tensors)?;
    let mask = one_mask(&inputs.masks, dense.arch.resolution(), device);
    let beginning = match start {
        Start::Fresh => begin::<A>(&inputs, critic, settings, device, progress)?,
        // The state overwrites every number: only the sizes count.
        Start::Saved(_) => Beginning {
            student: initial::generator(&dense.arch.pruned(settings.ratio)?, settings.seed),
            critic: initial::discriminator(&critic.arch, settings.seed),
        },
    };
    let embedders = if parts.dime { inputs.embeds } else { &[] };
    if parts.dime && embedders.is_empty() {
        return Err(CompressError::Embeddings("DiME without an embedding has nothing to match distributions in"));
    }
    let kernel = |(index, embedder): (usize, &EmbedderWeights)| {
        let missing = CompressError::Embeddings("the teacher was measured in other embeddings");
        let target = side.target(index, embedder, device).ok_or(missing)?;
        Ok(EmbeddingTerm { embedder: embedder.build(device)?, weights: embedder.spec.weights(), target })
    };
    let kernels: Result<_, CompressError> = embedders.iter().enumerate().map(kernel).collect();
    let size = dense.arch.resolution();
    let imitation = Imitation {
        l1: parts.l1,
        perceptual: parts.perceptual.then(|| perceptual_embedder(inputs.embeds, device)).transpose()?,
        relation: parts.relation.then(|| Directions::of(dense)),
        energy: parts.energy.then(|| EnergyPlayer::new(size, settings.seed, device)),
        mask,
    };
    let players = Players {
        teacher: Some(teacher),
        student: beginning.student,
        student_critic: beginning.critic,
        teacher_critic: parts.nickel.then(|| critic.clone()),
        kernels: kernels?,
        imitation,
        sparse: false,
    };
    let mut trainer = players.meet(settings, device)?;
    if let Start::Saved(state) = start {
        state::restore(&mut trainer, state)?;
    }
    Ok(trainer)
}

/// Sets up the training of a generator and its critic without a teacher: from random weights
/// ([`initial::generator`], [`initial::discriminator`]), or from those of a checkpoint.
///
/// # Errors
/// A setting is out of range, or the saved state belongs to other networks.
pub fn prepare_alone<A: AutodiffBackend>(
    student: GeneratorWeights,
    student_critic: DiscriminatorWeights,
    settings: &Settings,
    start: Start,
    device: &A::Device,
) -> Result<Trainer<A>, CompressError> {
    let (arch, critic) = (&student.arch, &student_critic.arch);
    settings.check(critic.mbstd_group.divisor())?;
    arch.check()?;
    critic.check()?;
    if arch.channels.len() != critic.channels.len() {
        let (data, teacher) = (critic.resolution(), arch.resolution());
        return Err(CompressError::Resolution { data, teacher });
    }
    let params = Cost::of(arch).params.total;
    if params > MAX_PARAMS {
        return Err(CompressError::Huge(params));
    }
    let players = Players {
        teacher: None,
        student,
        student_critic,
        teacher_critic: None,
        kernels: Vec::new(),
        imitation: Imitation::nothing(),
        sparse: false,
    };
    let mut trainer = players.meet(settings, device)?;
    if let Start::Saved(state) = start {
        state::restore(&mut trainer, state)?;
    }
    Ok(trainer)
}

/// Checks that inputs and settings fit together before any long work begins. Returns the teacher's critic.
///
/// # Errors
/// The first thing that does not fit, with the numbers.
pub fn check<'a>(inputs: &Inputs<'a>, settings: &Settings) -> Result<&'a DiscriminatorWeights, CompressError> {
    let dense = &inputs.teacher.generator;
    let critic = inputs.teacher.critic()?;
    settings.check(critic.arch.mbstd_group.divisor())?;
    let size = dense.arch.resolution();
    for data in [inputs.data.resolution(), critic.arch.resolution()] {
        if data != size {
            return Err(CompressError::Resolution { data, teacher: size });
        }
    }
    let resolution = nickel::matched_resolution(size);
    let matched = settings.method.parts().nickel;
    let channels = dense.arch.channels.iter().zip(&critic.arch.channels);
    for (block, (&generator, &discriminator)) in channels.enumerate() {
        if matched && block_resolution(block) == resolution && generator != discriminator {
            return Err(CompressError::Channels { resolution, generator, discriminator });
        }
    }
    let masks = inputs.masks.len();
    if masks > 1 && masks < settings.score_samples {
        return Err(CompressError::Masks(format!(
            "{masks} for {} images: give one for all, or one for each of the seeds 0, 1, ...",
            settings.score_samples
        )));
    }
    match inputs.masks.iter().find(|m| m.len() != size * size) {
        Some(mask) => Err(CompressError::Masks(format!("{} pixels, the image has {size}x{size}", mask.len()))),
        None => Ok(critic),
    }
}
