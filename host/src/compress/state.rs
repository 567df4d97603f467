//! The state of a training as bytes, from which `--resume` continues.
//!
//! Random numbers need no state: every draw is a function of the seed and the step ([`nickeldime_checkpoint::random`]).

use burn::{
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    optim::Optimizer,
    record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    baselines::energy::Energy,
    optimise::{AdamState, LazyAdam},
    trainer::{Critic, Trainer},
};
use crate::nets::{discriminator::Discriminator, generator::Generator};

type NetworkRecord<M, B> = <M as Module<B>>::Record;
type AdamRecord<M, A> = <AdamState<M, A> as Optimizer<M, A>>::Record;
type CriticRecord<A> = (NetworkRecord<Discriminator<A>, A>, AdamRecord<Discriminator<A>, A>);

/// The sizes of the student and its critic. They are compared when a state is loaded, because burn's records do not
/// check sizes.
type Sizes = (Vec<usize>, Vec<usize>);

/// The saved parts, in order: sizes; the student, its average and its optimiser; the critics; the running mean of path
/// lengths and the step.
type Record<A> = (
    Sizes,
    NetworkRecord<Generator<A>, A>,
    NetworkRecord<Generator<A>, A>,
    AdamRecord<Generator<A>, A>,
    CriticRecord<A>,
    Option<CriticRecord<A>>,
    f32,
    u64,
);

/// The saved parts of a training with an energy network: the other parts, the network and its optimiser.
type RecordWithEnergy<A> = (Record<A>, NetworkRecord<Energy<A>, A>, AdamRecord<Energy<A>, A>);

/// The saved state is damaged or belongs to another training.
#[derive(Debug, thiserror::Error)]
#[error("the saved state is damaged or of other networks: {0}")]
pub struct StateError(String);

/// Encodes the trainer's state.
///
/// # Errors
/// Errors of the encoder; none is known.
pub fn save<A: AutodiffBackend>(trainer: &Trainer<A>) -> Result<Vec<u8>, StateError> {
    let critic = |c: &Critic<A>| (c.network.clone().into_record(), c.adam.record());
    let record: Record<A> = (
        sizes(trainer),
        trainer.student.clone().into_record(),
        Generator::<A>::from_inner(trainer.average.clone()).into_record(),
        trainer.adam.record(),
        critic(&trainer.student_critic),
        trainer.teacher_critic.as_ref().map(critic),
        trainer.path_mean,
        trainer.step,
    );
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::new();
    let bytes = match &trainer.imitation.energy {
        None => Recorder::<A>::record(&recorder, record, ()),
        Some(player) => {
            let record: RecordWithEnergy<A> = (record, player.network.clone().into_record(), player.adam.to_record());
            Recorder::<A>::record(&recorder, record, ())
        }
    };
    bytes.map_err(|e| StateError(e.to_string()))
}

/// Loads a saved state into a trainer with networks of the same sizes.
///
/// # Errors
/// The bytes are not a state, or the state belongs to other networks.
pub fn restore<A: AutodiffBackend>(trainer: &mut Trainer<A>, bytes: Vec<u8>) -> Result<(), StateError> {
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::new();
    let (record, energy) = match &trainer.imitation.energy {
        None => (Recorder::<A>::load::<Record<A>>(&recorder, bytes, &trainer.device), None),
        Some(_) => match Recorder::<A>::load::<RecordWithEnergy<A>>(&recorder, bytes, &trainer.device) {
            Ok((record, network, adam)) => (Ok(record), Some((network, adam))),
            Err(error) => (Err(error), None),
        },
    };
    let (found, student, average, adam, student_critic, teacher_critic, path_mean, step) =
        record.map_err(|e| StateError(e.to_string()))?;
    if found != sizes(trainer) {
        return Err(StateError("they have other sizes".into()));
    }
    let load = |critic: &mut Critic<A>, (network, adam): CriticRecord<A>| {
        critic.network = critic.network.clone().load_record(network);
        critic.adam.load(adam);
    };
    match (&mut trainer.teacher_critic, teacher_critic) {
        (Some(critic), Some(record)) => load(critic, record),
        (None, None) => {}
        _ => return Err(StateError("another method's".into())),
    }
    if let (Some(player), Some((network, adam))) = (&mut trainer.imitation.energy, energy) {
        player.network = player.network.clone().load_record(network);
        player.adam = player.adam.clone().load_record(adam);
    }
    load(&mut trainer.student_critic, student_critic);
    trainer.student = trainer.student.clone().load_record(student);
    trainer.average = trainer.student.clone().load_record(average).valid();
    trainer.adam.load(adam);
    (trainer.path_mean, trainer.step) = (path_mean, step);
    Ok(())
}

/// The shape of every tensor of a network, in order.
fn sizes<A: AutodiffBackend>(trainer: &Trainer<A>) -> Sizes {
    struct Count(Vec<usize>);
    impl<B: Backend> ModuleVisitor<B> for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.extend(param.dims());
        }
    }
    let (mut student, mut critic) = (Count(Vec::new()), Count(Vec::new()));
    trainer.student.visit(&mut student);
    trainer.student_critic.network.visit(&mut critic);
    (student.0, critic.0)
}

impl<M, A> LazyAdam<M, A>
where
    A: AutodiffBackend,
    M: AutodiffModule<A>,
{
    fn record(&self) -> AdamRecord<M, A> {
        self.optimiser.to_record()
    }

    fn load(&mut self, record: AdamRecord<M, A>) {
        self.optimiser = self.optimiser.clone().load_record(record);
    }
}
