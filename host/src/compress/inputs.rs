//! The inputs of a compression, and the assembly of its networks into a trainer.

use burn::tensor::backend::AutodiffBackend;
use nickeldime_checkpoint::model::weights::{Checkpoint, DiscriminatorWeights, GeneratorWeights};

use super::{
    error::CompressError,
    imitation::Imitation,
    optimise::LazyAdam,
    settings::Settings,
    trainer::{Critic, EmbeddingTerm, Trainer},
};
use crate::{
    data::Dataset,
    embed::EmbedderWeights,
    nets::{
        discriminator::Discriminator,
        generator::Generator,
        names::{self, LoadError},
    },
};

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

/// The weights of all networks, before they are moved to a device.
pub(crate) struct Players<A: AutodiffBackend> {
    pub(crate) teacher: Option<Generator<A::InnerBackend>>,
    pub(crate) student: GeneratorWeights,
    pub(crate) student_critic: DiscriminatorWeights,
    pub(crate) teacher_critic: Option<DiscriminatorWeights>,
    pub(crate) kernels: Vec<EmbeddingTerm<A>>,
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
