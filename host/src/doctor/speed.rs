//! Measures the speed of a training iteration, phase by phase, on random networks and images.

use std::{collections::BTreeMap, time::Instant};

use burn::tensor::{Tensor, backend::AutodiffBackend};
use nickeldime_checkpoint::{
    model::{
        arch::{DiscriminatorArch, GeneratorArch},
        initial,
    },
    random::Stream,
};
use serde::Serialize;

use crate::{
    compress::{
        dime::{MomentTarget, MomentWeights, Moments},
        error::CompressError,
        imitation::Imitation,
        inputs::Players,
        settings::Settings,
        trainer::{EmbeddingTerm, LossPhase, Trainer},
    },
    embed::{
        Embedder,
        small::{self, Small},
    },
    nets::{draws, generator::Generator, names},
};

/// The size of the training that is measured.
#[derive(Debug, Clone, Serialize)]
pub struct SpeedLoad {
    /// The name of the dense architecture, see [`GeneratorArch::PRESETS`].
    pub arch: String,
    /// The pruning ratio: the share of the channels that the student lacks.
    pub ratio: f64,
    /// The batch size.
    pub batch: usize,
    /// The number of iterations to average over. A multiple of 16 runs every phase as often as a training does.
    pub iterations: u32,
}

/// The measured speed.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// The size of the training that was measured.
    #[serde(flatten)]
    pub load: SpeedLoad,
    /// Real images per second, over all phases.
    pub images_per_second: f64,
    /// Real images per second of CPU time, over all threads of this process. This number can be compared even if the
    /// machine is busy.
    pub images_per_cpu_second: f64,
    /// Time per iteration for each phase. The time of a phase that does not run in every iteration is spread over all
    /// iterations.
    pub milliseconds: BTreeMap<LossPhase, f64>,
}

/// Trains random networks for a while: NICKEL with both critics, and at 32x32 DiME in the small embedder (its weights random
/// too).
///
/// # Errors
/// An architecture or settings that are not possible.
pub fn measure<A: AutodiffBackend>(
    dense: &GeneratorArch,
    load: SpeedLoad,
    device: &A::Device,
) -> Result<Speed, CompressError> {
    let mut trainer = trainer::<A>(dense, &load, device)?;
    let size = dense.resolution();
    let real = draws::normal(&mut Stream::new(0, "images", 0), [load.batch, 3, size, size], device);
    let mut milliseconds = BTreeMap::new();
    let mut rounds = |count: u32, trainer: &mut Trainer<A>| {
        milliseconds.clear();
        trainer.step = 0;
        let start = Instant::now();
        let mut before = start;
        for _ in 0..count {
            trainer.iterate_watched(real.clone(), &mut |phase| {
                // Work that is still in a queue belongs to the phase that put it there. A device that fails shows in the
                // next value that is read.
                let _ = A::sync(device);
                let now = Instant::now();
                *milliseconds.entry(phase).or_insert(0.0) += 1000.0 * (now - before).as_secs_f64() / f64::from(count);
                before = now;
            });
        }
        start.elapsed().as_secs_f64()
    };
    // The first iteration has every phase: it warms all of them up.
    rounds(1, &mut trainer);
    let before = cpu_seconds();
    let seconds = rounds(load.iterations, &mut trainer);
    let images = load.batch as f64 * f64::from(load.iterations);
    let images_per_cpu_second = images / (cpu_seconds() - before);
    Ok(Speed { load, images_per_second: images / seconds, images_per_cpu_second, milliseconds })
}

/// The CPU time that this process has used so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn trainer<A: AutodiffBackend>(
    dense: &GeneratorArch,
    load: &SpeedLoad,
    device: &A::Device,
) -> Result<Trainer<A>, CompressError> {
    let critic = DiscriminatorArch::beside(dense, 4);
    let settings = Settings { ratio: load.ratio, batch: load.batch, gamma: 0.1, mirror: false, ..Settings::default() };
    settings.check(critic.mbstd_group.divisor())?;
    let teacher = initial::like_trained(dense, 0);
    let kernels = if dense.resolution() == small::SIZE { vec![kernel::<A>(load.batch, device)?] } else { Vec::new() };
    let players = Players {
        teacher: Some(names::load(Generator::new(dense, device), &teacher.tensors)?),
        student: initial::generator(&dense.pruned(load.ratio)?, 1),
        student_critic: initial::discriminator(&critic, 2),
        teacher_critic: Some(initial::discriminator(&critic, 3)),
        kernels,
        imitation: Imitation::nothing(),
        sparse: false,
    };
    players.meet(&settings, device)
}

fn kernel<A: AutodiffBackend>(batch: usize, device: &A::Device) -> Result<EmbeddingTerm<A>, CompressError> {
    let mut stream = Stream::new(0, "embedder", 0);
    let mut tensors = small::layout().tensors.into_iter().map(|(name, shape)| {
        let fan_in: usize = shape.iter().skip(1).product();
        let deviation = 1.0 / (fan_in as f32).sqrt();
        (name, ndarray::ArrayD::from_shape_simple_fn(shape, || stream.one_normal() * deviation))
    });
    let tensors = tensors.by_ref().collect();
    let inner = Small::<A::InnerBackend>::new(&tensors, device)?;
    let images = Tensor::zeros([batch, 3, small::SIZE, small::SIZE], device);
    let Moments { first, second } = Moments::of(inner.features(images));
    Ok(EmbeddingTerm {
        embedder: Embedder::Small(Small::new(&tensors, device)?),
        weights: MomentWeights { first: 5.0, second: 5.0 },
        target: MomentTarget::Moments(Moments { first: Tensor::from_inner(first), second: Tensor::from_inner(second) }),
    })
}
