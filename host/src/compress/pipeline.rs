//! Sets up a trainer from a teacher, images and settings, and runs it.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use nickeldime_checkpoint::{
    model::{
        arch::{DiscriminatorArch, GREY, GeneratorArch, block_resolution},
        cost::Cost,
        initial,
        weights::{Checkpoint, DiscriminatorWeights, GeneratorWeights},
    },
    random::Stream,
};

use super::{
    bank::TeacherSide,
    baselines::relation::Directions,
    error::CompressError,
    imitation::{EnergyPlayer, Imitation},
    nickel,
    optimise::LazyAdam,
    settings::Settings,
    start::{Beginning, begin, one_mask, perceptual_embedder},
    state,
    trainer::{Critic, Kernel, Losses, Trainer},
};
use crate::{
    data::{Batch, Dataset, ahead, luminance},
    embed::EmbedderWeights,
    nets::{
        discriminator::Discriminator,
        generator::Generator,
        names::{self, LoadError},
    },
    progress::Progress,
};

/// The largest number of parameters that is accepted; the largest official generator has 30 million.
const MAX_PARAMS: u64 = 1 << 30;
/// The number of iterations in a row that may have gradients that are not finite.
const PATIENCE: u32 = 100;

/// The inputs of a compression.
pub struct Inputs<'a> {
    /// The teacher: the dense generator and its critic.
    pub teacher: &'a Checkpoint,
    /// The real images.
    pub data: &'a Dataset,
    /// The embeddings of DiME.
    pub embeds: &'a [EmbedderWeights],
    /// Content masks for pruning, see [`super::prune::ContentAware::masks`].
    pub masks: Vec<Vec<bool>>,
}

/// The point at which a training begins.
pub enum Start {
    /// At the beginning: the pruned teacher, or random weights.
    Fresh,
    /// At a saved state ([`super::state::save`]).
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
        Start::Fresh => begin::<A>(&inputs, critic, side, settings, device, progress)?,
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
        Ok(Kernel { embedder: embedder.build(device)?, weights: embedder.spec.weights(), target })
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

/// Sets up the training of a generator and its critic from random weights.
///
/// # Errors
/// A setting is out of range, or the saved state belongs to other networks.
pub fn prepare_scratch<A: AutodiffBackend>(
    arch: &GeneratorArch,
    critic: &DiscriminatorArch,
    settings: &Settings,
    start: Start,
    device: &A::Device,
) -> Result<Trainer<A>, CompressError> {
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
        student: initial::generator(arch, settings.seed),
        student_critic: initial::discriminator(critic, settings.seed),
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

/// The weights of all networks, before they are moved to a device.
pub(crate) struct Players<A: AutodiffBackend> {
    pub(crate) teacher: Option<Generator<A::InnerBackend>>,
    pub(crate) student: GeneratorWeights,
    pub(crate) student_critic: DiscriminatorWeights,
    pub(crate) teacher_critic: Option<DiscriminatorWeights>,
    pub(crate) kernels: Vec<Kernel<A>>,
    pub(crate) imitation: Imitation<A>,
    pub(crate) sparse: bool,
}

impl<A: AutodiffBackend> Players<A> {
    pub(crate) fn meet(self, settings: &Settings, device: &A::Device) -> Result<Trainer<A>, CompressError> {
        let critic = |weights: DiscriminatorWeights| -> Result<_, LoadError> {
            let empty = Discriminator::new(&weights.arch, device);
            let adam = LazyAdam::new(settings.lr, Some(settings.r1_interval));
            Ok(Critic { network: names::load(empty, &weights.tensors)?, adam })
        };
        let arch = &self.student.arch;
        Ok(Trainer {
            settings: settings.clone(),
            teacher: self.teacher,
            student: names::load(Generator::new(arch, device), &self.student.tensors)?,
            average: names::load(Generator::new(arch, device), &self.student.tensors)?,
            adam: LazyAdam::new(settings.lr, Some(settings.path_interval).filter(|&k| k > 0)),
            student_critic: critic(self.student_critic)?,
            teacher_critic: self.teacher_critic.map(critic).transpose()?,
            kernels: self.kernels,
            imitation: self.imitation,
            sparse: self.sparse,
            path_mean: 0.0,
            step: 0,
            device: device.clone(),
        })
    }
}

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
