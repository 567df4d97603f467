//! The start of a compression: the student's weights and its critic's, by the method's criterion.

use burn::{
    module::AutodiffModule,
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};
use nickeldime_checkpoint::{
    model::{
        initial,
        weights::{DiscriminatorWeights, GeneratorWeights},
    },
    random::Stream,
};

use super::{
    bank::features,
    baselines::{
        diversity::{self, Components, Through, add_spread, sensitivity},
        slimming::{self, Reading},
        svs,
    },
    error::CompressError,
    imitation::Imitation,
    inputs::{Inputs, Players},
    iterate::train,
    method::{Criterion, CriticStart, StudentStart},
    moments::Sampling,
    prune::{self, ContentAware, Kept, Scores},
    settings::{Refine, Settings},
};
use crate::{
    embed::{Embedder, EmbedderWeights, spec::Kind},
    metrics::fid_of_few,
    nets::{draws::latents, generator::Generator, names, tap::NoTap},
    progress::Progress,
};

/// Number of images in a batch when channels are scored (`docs/method.md` section 2).
const SCORE_BATCH: usize = 8;

/// Number of student images that starts are compared by.
const COMPARED: usize = 512;

/// The weights that the trained networks begin with.
pub(super) struct Beginning {
    pub(super) student: GeneratorWeights,
    pub(super) critic: DiscriminatorWeights,
}

/// Prunes the teacher as the settings say, and chooses the critic's start.
pub(super) fn begin<A: AutodiffBackend>(
    inputs: &Inputs<'_>,
    critic: &DiscriminatorWeights,
    settings: &Settings,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Beginning, CompressError> {
    let teacher = &inputs.teacher.generator;
    let stage = match settings.sparse_kimg() > 0.0 {
        true => Some(sparse_stage::<A>(inputs, critic, settings, device, progress)?),
        false => None,
    };
    let dense = stage.as_ref().map_or(teacher, |stage| &stage.student);
    let mut student = match settings.method.student_start() {
        StudentStart::Pruned => nearest_start::<A>(dense, inputs, settings, device, progress)?,
        StudentStart::FreshSynthesis => fresh_synthesis(teacher, settings)?,
    };
    if settings.refine == Refine::Svs {
        svs::refine(&mut student);
    }
    let critic = match (settings.critic_start(), stage) {
        (CriticStart::Fresh, _) => initial::discriminator(&critic.arch, settings.seed),
        (CriticStart::Teacher, Some(stage)) => stage.critic,
        (CriticStart::Teacher, None) => critic.clone(),
    };
    Ok(Beginning { student, critic })
}

/// The teacher's mapping network, followed by a synthesis network of the pruned shape with random weights.
fn fresh_synthesis(teacher: &GeneratorWeights, settings: &Settings) -> Result<GeneratorWeights, CompressError> {
    let mut student = initial::generator(&teacher.arch.pruned(settings.ratio)?, settings.seed);
    for (name, tensor) in &teacher.tensors {
        if name.starts_with("mapping.") {
            student.tensors.insert(name.clone(), tensor.clone());
        }
    }
    Ok(student)
}

/// GAN Slimming's first stage: trains the dense student with the penalty on its styles and with the teacher's critic.
fn sparse_stage<A: AutodiffBackend>(
    inputs: &Inputs<'_>,
    critic: &DiscriminatorWeights,
    settings: &Settings,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Beginning, CompressError> {
    let dense = &inputs.teacher.generator;
    let stage = Settings { ratio: 0.0, kimg: settings.sparse_kimg(), ..settings.clone() };
    let perceptual = Some(perceptual_embedder(inputs.embeds, device)?);
    let players = Players {
        teacher: Some(names::load(Generator::new(&dense.arch, device), &dense.tensors)?),
        student: dense.clone(),
        student_critic: critic.clone(),
        teacher_critic: None,
        kernels: Vec::new(),
        imitation: Imitation { perceptual, ..Imitation::nothing() },
        sparse: true,
    };
    let mut trainer = players.meet(&stage, device)?;
    train::<A, CompressError>(&mut trainer, inputs.data, progress, |_, _| Ok(()))?;
    if !trainer.finished() {
        return Err(CompressError::Stopped);
    }
    let student = GeneratorWeights { arch: dense.arch.clone(), tensors: names::export(&trainer.average) };
    let network = trainer.student_critic.network.valid();
    let critic = DiscriminatorWeights { arch: critic.arch.clone(), tensors: names::export(&network) };
    Ok(Beginning { student, critic })
}

/// The pruned network. Of several, it is the one whose images are nearest to the teacher's.
///
/// The scores of one seed are a lottery: with 400 or 4,000 images, the distance of the pruned network varies by a factor
/// of two. Several starts are therefore scored with seeds that do not depend on the run's.
fn nearest_start<A: AutodiffBackend>(
    dense: &GeneratorWeights,
    inputs: &Inputs<'_>,
    settings: &Settings,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<GeneratorWeights, CompressError> {
    let start = |seed, progress: &mut dyn Progress| {
        let scores = scores::<A>(dense, inputs, &Settings { seed, ..settings.clone() }, device, progress)?;
        let kept: Kept = prune::kept(&dense.arch, &scores, settings.ratio)?;
        Ok::<_, CompressError>(prune::cut(dense, &kept, settings.ratio)?)
    };
    if settings.starts() == 1 {
        return start(settings.seed, progress);
    }
    // Every model draws the same latents.
    let sampling = Sampling { samples: COMPARED, seed: 0, batch: SCORE_BATCH };
    let embedded = |model: &GeneratorWeights, progress: &mut dyn Progress| {
        features::<A::InnerBackend>(model, inputs.embeds, sampling, device, ("comparing starts", progress))
    };
    let teacher = embedded(&inputs.teacher.generator, progress)?;
    let mut nearest: Option<(f64, GeneratorWeights)> = None;
    for seed in 0..settings.starts() as u64 {
        let student = start(seed, progress)?;
        let mut distance = 0.0;
        for (ours, theirs) in embedded(&student, progress)?.iter().zip(&teacher) {
            distance += fid_of_few(ours.view(), theirs.view()).map_err(CompressError::Starts)?;
        }
        if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
            nearest = Some((distance, student));
        }
    }
    nearest.map(|(_, student)| student).ok_or(CompressError::Stopped)
}

fn scores<A: AutodiffBackend>(
    dense: &GeneratorWeights,
    inputs: &Inputs<'_>,
    settings: &Settings,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Scores, CompressError> {
    let samples = settings.score_samples;
    Ok(match settings.criterion() {
        Criterion::Magnitude => prune::input_channel_means(&dense.arch, &dense.tensors),
        Criterion::Random => prune::random(&dense.arch, settings.seed),
        Criterion::Style => {
            let generator = names::load(Generator::<A::InnerBackend>::new(&dense.arch, device), &dense.tensors)?;
            let seeds: Vec<u64> = (0..samples as u64).collect();
            let ws = generator.ws(latents(&seeds, dense.arch.z_dim, device));
            slimming::scores(&generator, ws, Reading::AbsoluteMean)
        }
        Criterion::Diversity => diversity_scores::<A>(dense, samples, settings.seed, device, progress)?,
        Criterion::ContentAware => {
            progress.begin("scoring channels", "img", samples as u64);
            let criterion =
                ContentAware { samples, batch: SCORE_BATCH, seed: settings.seed, masks: inputs.masks.clone() };
            let scores = criterion.scores::<A>(dense, device, |done| {
                progress.at(done as u64, "");
                !progress.stopped()
            })?;
            progress.end();
            scores.ok_or(CompressError::Stopped)?
        }
    })
}

/// DCP-GAN's scores over `samples` latents.
fn diversity_scores<A: AutodiffBackend>(
    dense: &GeneratorWeights,
    samples: usize,
    seed: u64,
    device: &A::Device,
    progress: &mut dyn Progress,
) -> Result<Scores, CompressError> {
    let generator = names::load(Generator::<A>::new(&dense.arch, device), &dense.tensors)?;
    let mapped = |seeds: &[u64]| generator.mapping.forward(latents(seeds, dense.arch.z_dim, device), &mut NoTap);
    let seeds: Vec<u64> = (0..diversity::PCA_SAMPLES as u64).collect();
    let w: Vec<f32> =
        seeds.chunks(1000).flat_map(|s| mapped(s).inner().into_data().iter::<f32>().collect::<Vec<_>>()).collect();
    let components = Components::of(&w, dense.arch.w_dim);
    let mut stream = Stream::new(seed, "directions of diversity", 0);
    let mut scores: Scores = prune::map_sizes(&dense.arch).iter().map(|&c| vec![0.0; c]).collect();
    progress.begin("scoring channels", "img", samples as u64);
    for start in (0..samples).step_by(diversity::BATCH) {
        let seeds: Vec<u64> = (start..samples.min(start + diversity::BATCH)).map(|i| i as u64).collect();
        let each: Vec<Scores> = (0..diversity::DIRECTIONS)
            .map(|_| {
                let axis = &components.axes[components.draw(&mut stream)];
                sensitivity(&generator, &dense.arch, mapped(&seeds), axis, diversity::ALPHA, Through::Both)
            })
            .collect();
        add_spread(&each, &mut scores);
        progress.at((start + seeds.len()) as u64, "");
        if progress.stopped() {
            return Err(CompressError::Stopped);
        }
    }
    progress.end();
    Ok(scores)
}

/// The embedder whose feature maps give the perceptual distance: the first one that has such maps.
pub(super) fn perceptual_embedder<A: AutodiffBackend>(
    embedders: &[EmbedderWeights],
    device: &A::Device,
) -> Result<Embedder<A>, CompressError> {
    let missing =
        CompressError::Embeddings("the perceptual distance needs an embedder of kind small, dino, resnet50 or clip");
    let weights = embedders.iter().find(|e| e.spec.kind != Kind::Inception).ok_or(missing)?;
    Ok(weights.build(device)?)
}

/// A single content mask as `[1, 1, size, size]`. Several masks belong to the latents that channels are scored with;
/// training draws other latents, so it cannot use them.
pub(super) fn one_mask<A: AutodiffBackend>(
    masks: &[Vec<bool>],
    size: usize,
    device: &A::Device,
) -> Option<Tensor<A, 4>> {
    let [mask] = masks else { return None };
    let values: Vec<f32> = mask.iter().map(|&content| f32::from(u8::from(content))).collect();
    Some(Tensor::from_data(TensorData::new(values, [1, 1, size, size]), device))
}
