//! The NICKEL & DiME iteration (`docs/method.md` section 5) with its four phases and three trained networks.

use burn::{
    module::{AutodiffModule, Module},
    tensor::{Tensor, TensorPrimitive, backend::AutodiffBackend, backend::Backend},
};
use nickeldime_checkpoint::{model::arch::block_resolution, random::Stream};
use serde::{Deserialize, Serialize};

use super::{
    adversarial::{as_fake, as_real},
    baselines::slimming,
    dime::{MomentTarget, MomentWeights},
    imitation::{self, Imitation},
    nickel,
    optimise::{LazyAdam, blend},
    regularise::{path_length, r1},
    settings::Settings,
};
use crate::{
    embed::Embedder,
    nets::{
        discriminator::Discriminator,
        draws,
        generator::{Generator, Noise},
        tap::Tap,
    },
};

/// An embedding, its weights in the loss, and the teacher's distribution under it.
pub struct EmbeddingTerm<A: AutodiffBackend> {
    /// The embedding network phi.
    pub embedder: Embedder<A>,
    /// The weights of first and second moments.
    pub weights: MomentWeights,
    /// The teacher's distribution.
    pub target: MomentTarget<A>,
}

/// A critic and its optimiser.
pub struct Critic<A: AutodiffBackend> {
    /// The network.
    pub network: Discriminator<A>,
    /// The network's optimiser.
    pub adam: LazyAdam<Discriminator<A>, A>,
}

/// The mean logits of a critic in one iteration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Logits {
    /// The mean logit on real images.
    pub real: f32,
    /// The mean logit on the student's images.
    pub fake: f32,
}

/// The losses of one iteration. Regularisation losses are 0 in iterations without regularisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// The critics' feedback to the student generator.
    pub feedback: f32,
    /// The DiME loss, summed over all embeddings.
    pub dime: f32,
    /// The mean absolute difference of the pixels from the teacher's image, without its weight.
    pub l1: f32,
    /// The perceptual distance to the teacher's image, without its weight.
    #[serde(default)]
    pub perceptual: f32,
    /// The relation loss, without its weight.
    #[serde(default)]
    pub relation: f32,
    /// The bound by the energy network, without its weight.
    #[serde(default)]
    pub energy: f32,
    /// The energy network's own loss.
    #[serde(default)]
    pub energy_fit: f32,
    /// The penalty of the sparse stage, without its weight.
    #[serde(default)]
    pub sparse: f32,
    /// The mean logit of the student critic on the images of the generator's phase.
    #[serde(default)]
    pub generator_fake: f32,
    /// The student critic's logistic loss.
    pub student_critic: f32,
    /// The teacher critic's logistic loss.
    pub teacher_critic: f32,
    /// The wavelet feature matching loss, without its weight.
    pub matching: f32,
    /// The path length penalty.
    pub path: f32,
    /// The R1 penalty, summed over both critics.
    pub r1: f32,
    /// The student critic's mean logits.
    pub student_logits: Logits,
    /// The teacher critic's mean logits; `None` if the method does not use that critic.
    pub teacher_logits: Option<Logits>,
    /// The number of gradient entries that were not finite.
    pub replaced: usize,
}

impl Losses {
    /// The losses as one line for a progress bar.
    pub fn note(&self) -> String {
        let mut note = format!("feedback {:.2}", self.feedback);
        let terms = [
            ("dime", self.dime),
            ("l1", self.l1),
            ("perceptual", self.perceptual),
            ("relation", self.relation),
            ("energy", self.energy),
            ("sparse", self.sparse),
        ];
        for (name, value) in terms {
            if value != 0.0 {
                note += &format!(" {name} {value:.2}");
            }
        }
        // A critic's loss, and its mean logits on real and fake images.
        let mut critic = |name: &str, loss: f32, logits: Logits| {
            note += &format!(" {name} {loss:.2} {:+.2}/{:+.2}", logits.real, logits.fake);
        };
        critic("D_S", self.student_critic, self.student_logits);
        if let Some(teacher) = self.teacher_logits {
            critic("D_T", self.teacher_critic, teacher);
        }
        note
    }
}

/// A training: everything that an iteration reads and changes.
pub struct Trainer<A: AutodiffBackend> {
    /// The settings of the training.
    pub settings: Settings,
    /// The frozen teacher generator G_T; `None` for a training from scratch.
    pub teacher: Option<Generator<A::InnerBackend>>,
    /// The student generator G_S.
    pub student: Generator<A>,
    /// The moving average of G_S, which is the result of the training.
    pub average: Generator<A::InnerBackend>,
    /// The optimiser of G_S.
    pub adam: LazyAdam<Generator<A>, A>,
    /// The student's critic D_S.
    pub student_critic: Critic<A>,
    /// The teacher's critic D_T; `None` if the method does not use it.
    pub teacher_critic: Option<Critic<A>>,
    /// The embeddings of DiME; without any, DiME is left out.
    pub kernels: Vec<EmbeddingTerm<A>>,
    /// The terms that compare the student's images with the teacher's.
    pub imitation: Imitation<A>,
    /// True during GAN Slimming's sparse stage, in which the penalty on styles is part of the generator's loss.
    pub sparse: bool,
    /// The running mean of path lengths.
    pub path_mean: f32,
    /// The number of iterations done.
    pub step: u64,
    /// The device that holds the tensors.
    pub device: A::Device,
}

/// A phase of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LossPhase {
    /// The student generator learns from both critics and from the teacher's distribution.
    Generator,
    /// Path length regularisation of the student generator.
    Path,
    /// Both critics learn; D_S also learns from the teacher generator's features.
    Critics,
    /// R1 regularisation of both critics.
    R1,
    /// The moving average is updated.
    Average,
}

/// The random draws of a phase, which teacher and student share.
struct Draw<B: Backend> {
    z: Tensor<B, 2>,
    z2: Tensor<B, 2>,
    cut: usize,
    noise: Noise<B>,
}

impl<A: AutodiffBackend> Trainer<A> {
    /// True if all iterations are done.
    pub fn finished(&self) -> bool {
        self.step >= self.settings.iterations()
    }

    /// Runs one iteration on a batch of real images `[batch, 3, h, w]` in [-1, 1].
    pub fn iterate(&mut self, real: Tensor<A::InnerBackend, 4>) -> Losses {
        self.iterate_watched(real, &mut |_| ())
    }

    /// Runs one iteration as [`Trainer::iterate`] does, and calls a function after every phase.
    pub fn iterate_watched(&mut self, real: Tensor<A::InnerBackend, 4>, done: &mut dyn FnMut(LossPhase)) -> Losses {
        let mut losses = Losses::default();
        let mut readings = Readings(Vec::new());
        self.generator_main(&mut losses, &mut readings);
        done(LossPhase::Generator);
        let path_interval = self.settings.path_interval;
        if path_interval > 0 && self.step.is_multiple_of(path_interval.into()) {
            self.generator_path(&mut losses);
            done(LossPhase::Path);
        }
        self.critics_main(real.clone(), &mut losses, &mut readings);
        done(LossPhase::Critics);
        if self.step.is_multiple_of(self.settings.r1_interval.into()) {
            self.critics_r1(real, &mut losses);
            done(LossPhase::R1);
        }
        let now = self.student.valid();
        let average = self.average.clone();
        self.average = blend(average, &now, self.settings.ema_keep(self.step));
        readings.read(&mut losses);
        done(LossPhase::Average);
        self.step += 1;
        losses
    }

    /// The student generator's main phase: both critics' feedback and DiME.
    fn generator_main(&mut self, losses: &mut Losses, readings: &mut Readings<A::InnerBackend>) {
        let batch = self.settings.batch;
        let draw = self.draw::<A>("generator", batch);
        let offsets = self.imitation.offsets(batch, self.stream("relation"), &self.device);
        let (w, ws) = styles(&self.student, &draw);
        let drawn = imitation::draw(&self.student, ws.clone(), offsets.clone(), &draw.noise);
        let image = drawn.image.clone();
        let logits = |critic: &Critic<A>| critic.network.clone().no_grad().forward(image.clone());
        let own = logits(&self.student_critic);
        readings.note(&own.clone().mean(), |losses| &mut losses.generator_fake);
        let mut loss = as_real(own);
        if let Some(critic) = &self.teacher_critic {
            loss = loss + as_real(logits(critic));
        }
        readings.note(&loss, |losses| &mut losses.feedback);
        for kernel in &self.kernels {
            let features = kernel.embedder.features(image.clone());
            let term = dime_loss(&kernel.target, features, kernel.weights, self.settings.dime_batch.unwrap_or(batch));
            readings.note(&term, |losses| &mut losses.dime);
            loss = loss + term;
        }
        if let Some(teacher) = self.teacher.as_ref().filter(|_| self.imitation.compares()) {
            let draw = draw.inner();
            let ws = styles(teacher, &draw).1;
            let target = imitation::draw(teacher, ws, offsets.map(Tensor::inner), &draw.noise);
            let stream = Stream::new(self.settings.seed, "langevin, generator", self.step);
            let terms = self.imitation.terms(target, &drawn, stream);
            let places: [(_, Place); 4] = [
                (&terms.l1, |l| &mut l.l1),
                (&terms.perceptual, |l| &mut l.perceptual),
                (&terms.relation, |l| &mut l.relation),
                (&terms.energy, |l| &mut l.energy),
            ];
            for (term, place) in places {
                term.iter().for_each(|term| readings.note(term, place));
            }
            loss = terms.sum().map_or(loss.clone(), |sum| loss + sum);
        }
        if self.sparse {
            let penalty = slimming::penalty(&self.student, ws);
            readings.note(&penalty, |losses| &mut losses.sparse);
            loss = loss + penalty.mul_scalar(slimming::PENALTY_WEIGHT);
        }
        self.student.mapping.track(w);
        losses.replaced += self.step_student(loss);
    }

    fn generator_path(&mut self, losses: &mut Losses) {
        let batch = (self.settings.batch / 2).max(1);
        let draw = self.draw::<A>("path", batch);
        let (w, ws) = styles(&self.student, &draw);
        self.student.mapping.track(w);
        let size = block_resolution(self.student.synthesis.blocks.len() - 1);
        let mut stream = self.stream("path directions");
        let unit = draws::normal(&mut stream, [batch, self.student.img_channels(), size, size], &self.device);
        let (penalty, mean) = path_length(&self.student, ws, &draw.noise, unit, self.path_mean);
        self.path_mean = mean;
        losses.path = penalty.value;
        let loss = penalty.surrogate.mul_scalar(self.settings.path_interval as f32);
        losses.replaced += self.step_student(loss);
    }

    fn step_student(&mut self, loss: Tensor<A, 1>) -> usize {
        let (student, replaced) = self.adam.step(self.student.clone(), loss);
        self.student = student;
        replaced
    }

    /// The critics' main phase: the logistic loss of both, and the feature matching of D_S with the teacher generator.
    fn critics_main(
        &mut self,
        real: Tensor<A::InnerBackend, 4>,
        losses: &mut Losses,
        readings: &mut Readings<A::InnerBackend>,
    ) {
        let draw = self.draw::<A::InnerBackend>("critics", self.settings.batch);
        let student = self.student.valid();
        let (w, ws) = styles(&student, &draw);
        self.student.mapping.track(Tensor::from_inner(w));
        let fake = student.synthesise(ws, &draw.noise);
        if let Some(teacher) = self.teacher.as_ref().filter(|_| self.imitation.energy.is_some()) {
            let target = teacher.synthesise(styles(teacher, &draw).1, &draw.noise);
            let stream = Stream::new(self.settings.seed, "langevin, energy", self.step);
            let fit = self.imitation.fit_energy(target, fake.clone(), stream);
            fit.iter().for_each(|fit| readings.note(fit, |losses| &mut losses.energy_fit));
        }
        let fake = Tensor::from_inner(fake);
        let real = Tensor::from_inner(real);
        let taught = self.lesson(&draw);
        if let Some(taught) = &taught {
            readings.note(taught, |losses| &mut losses.matching);
        }

        let mut judge =
            |critic: &mut Critic<A>, taught: Option<Tensor<A, 1>>, [logistic, on_real, on_fake]: [Place; 3]| {
                let fake = critic.network.forward(fake.clone());
                let real = critic.network.forward(real.clone());
                readings.note(&real.clone().mean(), on_real);
                readings.note(&fake.clone().mean(), on_fake);
                let mut loss = as_fake(fake) + as_real(real);
                readings.note(&loss, logistic);
                if let Some(taught) = taught {
                    loss = loss + taught.mul_scalar(nickel::WEIGHT);
                }
                losses.replaced += critic.step(loss);
            };
        let places: [Place; 3] =
            [|l| &mut l.student_critic, |l| &mut l.student_logits.real, |l| &mut l.student_logits.fake];
        judge(&mut self.student_critic, taught, places);
        if let Some(critic) = &mut self.teacher_critic {
            let places: [Place; 3] = [
                |l| &mut l.teacher_critic,
                |l| &mut l.teacher_logits.get_or_insert_default().real,
                |l| &mut l.teacher_logits.get_or_insert_default().fake,
            ];
            judge(critic, None, places);
        }
    }

    /// The feature matching loss: the distance between D_S's features of a teacher image and the teacher generator's
    /// features of the same image.
    fn lesson(&self, draw: &Draw<A::InnerBackend>) -> Option<Tensor<A, 1>> {
        let teacher = self.teacher.as_ref().filter(|_| self.settings.method.parts().nickel)?;
        let size = block_resolution(teacher.synthesis.blocks.len() - 1);
        let resolution = nickel::matched_resolution(size);
        let mut features = CatchMap::new(resolution);
        let (_, ws) = styles(teacher, draw);
        let image = teacher.synthesise_tapped(ws.into(), &draw.noise, &mut features);
        let student = self.student_critic.network.features(Tensor::from_inner(image.primal), resolution);
        Some(nickel::feature_matching(Tensor::from_inner(features.map?), student))
    }

    fn critics_r1(&mut self, real: Tensor<A::InnerBackend, 4>, losses: &mut Losses) {
        let gain = self.settings.r1_interval as f32;
        for critic in std::iter::once(&mut self.student_critic).chain(&mut self.teacher_critic) {
            let penalty = r1(&critic.network, real.clone(), self.settings.gamma);
            losses.r1 += penalty.value;
            losses.replaced += critic.step(penalty.surrogate.mul_scalar(gain));
        }
    }

    fn stream(&self, purpose: &str) -> Stream {
        Stream::new(self.settings.seed, purpose, self.step)
    }

    fn draw<B: Backend<Device = A::Device>>(&self, purpose: &str, batch: usize) -> Draw<B> {
        let mut stream = self.stream(purpose);
        let z_dim = self.student.mapping.z_dim();
        let num_ws = self.student.num_ws();
        let noise = (0..num_ws - 1)
            .map(|layer| {
                let size = block_resolution(layer.div_ceil(2));
                draws::normal(&mut stream, [batch, 1, size, size], &self.device)
            })
            .collect();
        let z = draws::normal(&mut stream, [batch, z_dim], &self.device);
        let z2 = draws::normal(&mut stream, [batch, z_dim], &self.device);
        let mixed = stream.uniform() < self.settings.mixing;
        let cut = 1 + stream.below(num_ws - 1);
        Draw { z, z2, cut: if mixed { cut } else { num_ws }, noise: Noise::Maps(noise) }
    }
}

impl<A: AutodiffBackend> Draw<A> {
    /// The same draws as tensors without gradients.
    fn inner(&self) -> Draw<A::InnerBackend> {
        let noise = match &self.noise {
            Noise::None => Noise::None,
            Noise::Const => Noise::Const,
            Noise::Maps(maps) => Noise::Maps(maps.iter().map(|map| map.clone().inner()).collect()),
        };
        Draw { z: self.z.clone().inner(), z2: self.z2.clone().inner(), cut: self.cut, noise }
    }
}

impl<A: AutodiffBackend> Critic<A> {
    fn step(&mut self, loss: Tensor<A, 1>) -> usize {
        let (network, replaced) = self.adam.step(self.network.clone(), loss);
        self.network = network;
        replaced
    }
}

/// The DiME loss over groups of `size` images of a batch's features `[batch, features]`: the mean over the groups.
fn dime_loss<B: Backend>(
    target: &MomentTarget<B>,
    features: Tensor<B, 2>,
    weights: MomentWeights,
    size: usize,
) -> Tensor<B, 1> {
    let [batch, _] = features.dims();
    if size >= batch {
        return target.loss(features, weights);
    }
    let group = |at| target.loss(features.clone().narrow(0, at, size), weights);
    Tensor::cat((0..batch).step_by(size).map(group).collect(), 0).mean()
}

/// The `w` of the first latents, which the running mean of w needs, and the `ws` after style mixing.
fn styles<B: Backend>(generator: &Generator<B>, draw: &Draw<B>) -> (Tensor<B, 2>, Tensor<B, 3>) {
    let ws = generator.mixed_ws(draw.z.clone(), draw.z2.clone(), draw.cut);
    let [n, _, w_dim] = ws.dims();
    (ws.clone().narrow(1, 0, 1).reshape([n, w_dim]), ws)
}

/// A tap that keeps the output of one synthesis block.
struct CatchMap<B: Backend> {
    name: String,
    map: Option<Tensor<B, 4>>,
}

impl<B: Backend> CatchMap<B> {
    fn new(resolution: usize) -> Self {
        Self { name: format!("b{resolution}.x"), map: None }
    }
}

impl<B: Backend> Tap<B> for CatchMap<B> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        if name == self.name {
            // A block's output is a feature map, so `D` is 4.
            let primitive: TensorPrimitive<B> = tensor.clone().into_primitive();
            self.map = Some(Tensor::from_primitive(primitive));
        }
    }
}

/// Selects a number in [`Losses`].
type Place = fn(&mut Losses) -> &mut f32;

/// Losses that stay on the device until the end of the iteration and are then fetched at once.
struct Readings<B: Backend>(Vec<(Tensor<B, 1>, Place)>);

impl<B: Backend> Readings<B> {
    /// Adds the tensor `x` `[1]` to the number at `place`.
    fn note<A: AutodiffBackend<InnerBackend = B>>(&mut self, x: &Tensor<A, 1>, place: Place) {
        self.0.push((x.clone().inner(), place));
    }

    fn read(self, losses: &mut Losses) {
        let (tensors, places): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        if tensors.is_empty() {
            return;
        }
        for (value, place) in Tensor::cat(tensors, 0).into_data().iter::<f32>().zip(places) {
            *place(losses) += value;
        }
    }
}
