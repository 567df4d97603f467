//! The terms that compare the student's image of a latent with the teacher's image of the same latent: pixels,
//! perceptual distance, relations between samples, and the energy network (`docs/baselines.md` sections 3 to 6).

use burn::{
    optim::{Adam, AdamConfig, GradientsParams, Optimizer, adaptor::OptimizerAdaptor},
    tensor::{
        Tensor, TensorPrimitive,
        backend::{AutodiffBackend, Backend},
    },
};
use nickeldime_checkpoint::random::Stream;

use super::baselines::{
    energy::{self, Energy, Pass, langevin},
    perceptual,
    relation::{self, Directions},
};
use crate::{
    embed::Embedder,
    nets::{
        draws,
        generator::{Generator, Noise},
        tap::Tap,
    },
};

/// Weight of the pixel distance, as in CAGC.
const L1_WEIGHT: f32 = 3.0;

/// The terms of a method. Terms that the method does not have are false or `None`.
pub struct Imitation<A: AutodiffBackend> {
    /// True if the method has the pixel distance.
    pub l1: bool,
    /// The embedder whose feature maps give the perceptual distance.
    pub perceptual: Option<Embedder<A>>,
    /// The directions along which samples are moved for the relation loss.
    pub relation: Option<Directions>,
    /// The energy network and its optimiser.
    pub energy: Option<EnergyPlayer<A>>,
    /// Content mask `[1, 1, height, width]` of ones and zeros. The pixel distance and the perceptual distance ignore
    /// pixels that are 0.
    pub mask: Option<Tensor<A, 4>>,
}

/// The energy network and its optimiser.
pub struct EnergyPlayer<A: AutodiffBackend> {
    /// The energy network.
    pub network: Energy<A>,
    /// Its optimiser, which has no correction for lazy regularisation.
    pub adam: OptimizerAdaptor<Adam, Energy<A>, A>,
}

impl<A: AutodiffBackend> EnergyPlayer<A> {
    /// A network with initial values for images of `resolution`.
    pub fn new(resolution: usize, seed: u64, device: &A::Device) -> Self {
        let adam = AdamConfig::new().with_beta_1(0.0).with_beta_2(energy::BETA_2).with_epsilon(1e-8);
        Self { network: Energy::initial(resolution, energy::WIDTH, seed, device), adam: adam.init() }
    }
}

/// Images, and the feature maps of the blocks that the relation loss compares.
pub struct ObservedImages<B: Backend> {
    /// The images, `[batch, 3, height, width]`.
    pub image: Tensor<B, 4>,
    /// The feature maps, `[2 batch, channels, height, width]`, whose second half are the moved samples; empty without a
    /// relation loss.
    pub maps: Vec<Tensor<B, 4>>,
}

/// The terms of one batch without their weights, each `[1]`.
#[derive(Default)]
pub struct Terms<B: Backend> {
    /// The mean absolute difference of the pixels.
    pub l1: Option<Tensor<B, 1>>,
    /// The perceptual distance.
    pub perceptual: Option<Tensor<B, 1>>,
    /// The relation loss, summed over blocks.
    pub relation: Option<Tensor<B, 1>>,
    /// The bound on the information that both images share.
    pub energy: Option<Tensor<B, 1>>,
}

impl<B: Backend> Terms<B> {
    /// The weighted sum of all terms, `[1]`; `None` if there are no terms.
    pub fn sum(&self) -> Option<Tensor<B, 1>> {
        let weighted = [
            (&self.l1, L1_WEIGHT),
            (&self.perceptual, perceptual::WEIGHT),
            (&self.relation, relation::WEIGHT),
            (&self.energy, energy::STUDENT_WEIGHT),
        ];
        let terms = weighted.into_iter().filter_map(|(term, weight)| Some(term.clone()?.mul_scalar(weight)));
        terms.reduce(|a, b| a + b)
    }
}

impl<A: AutodiffBackend> Imitation<A> {
    /// No terms: the student is not compared with the teacher's images.
    pub fn nothing() -> Self {
        Self { l1: false, perceptual: None, relation: None, energy: None, mask: None }
    }

    /// True if there is a term, so that the teacher's image is needed.
    pub fn compares(&self) -> bool {
        self.l1 || self.perceptual.is_some() || self.relation.is_some() || self.energy.is_some()
    }

    /// The offsets of w for the moved samples, `[batch, w_dim]`; `None` without a relation loss.
    pub fn offsets(&self, batch: usize, mut stream: Stream, device: &A::Device) -> Option<Tensor<A, 2>> {
        self.relation.as_ref().map(|directions| directions.draw(batch, &mut stream, device))
    }

    /// Computes the terms for images of the same latents. `stream` gives the noise of the Langevin chain.
    pub fn terms(
        &mut self,
        teacher: ObservedImages<A::InnerBackend>,
        student: &ObservedImages<A>,
        stream: Stream,
    ) -> Terms<A> {
        let target = Tensor::<A, 4>::from_inner(teacher.image);
        let energy = self.energy.as_mut().map(|player| {
            let (plus, minus) =
                energies(&mut player.network, target.clone(), student.image.clone(), Pass::Frozen, stream);
            energy::bound(plus, minus)
        });
        let masked = |image: Tensor<A, 4>| match &self.mask {
            Some(mask) => image * mask.clone(),
            None => image,
        };
        let (own, target) = (masked(student.image.clone()), masked(target));
        let maps = teacher.maps.into_iter().zip(&student.maps);
        let relations = maps.map(|(teacher, student)| relation::loss(Tensor::from_inner(teacher), student.clone()));
        Terms {
            l1: self.l1.then(|| (own.clone() - target.clone()).abs().mean()),
            perceptual: self.perceptual.as_ref().map(|embedder| perceptual::distance(embedder, own, target)),
            relation: relations.reduce(|a, b| a + b),
            energy,
        }
    }

    /// Takes one step of the energy network on images of new latents. Returns its loss `[1]` from before the step.
    pub fn fit_energy(
        &mut self,
        teacher: Tensor<A::InnerBackend, 4>,
        student: Tensor<A::InnerBackend, 4>,
        stream: Stream,
    ) -> Option<Tensor<A, 1>> {
        let player = self.energy.as_mut()?;
        let (teacher, student) = (Tensor::from_inner(teacher), Tensor::from_inner(student));
        let (plus, minus) = energies(&mut player.network, teacher, student, Pass::Training, stream);
        let loss = energy::fit(plus, minus);
        let grads = GradientsParams::from_grads(loss.clone().backward(), &player.network);
        player.network = player.adam.step(energy::LR, player.network.clone(), grads);
        Some(loss)
    }
}

/// The energies `E(t, s)` and `E(x, s)`, where x is the end of a Langevin chain from s.
fn energies<A: AutodiffBackend>(
    network: &mut Energy<A>,
    teacher: Tensor<A, 4>,
    student: Tensor<A, 4>,
    pass: Pass,
    mut stream: Stream,
) -> (Tensor<A, 2>, Tensor<A, 2>) {
    let shape = student.dims();
    let device = student.device();
    let noises = (0..energy::STEPS).map(|_| draws::normal(&mut stream, shape, &device));
    let step = energy::step_size(shape[2]);
    let end = Tensor::from_inner(langevin(network, student.clone().inner(), noises, step));
    let plus = network.forward(teacher, student.clone(), pass);
    let minus = network.forward(end, student, pass);
    (plus, minus)
}

/// Draws the images of `ws` `[batch, num_ws, w_dim]`. With `offsets`, it also returns the feature maps of these samples
/// and of the moved ones.
pub fn draw<B: Backend>(
    generator: &Generator<B>,
    ws: Tensor<B, 3>,
    offsets: Option<Tensor<B, 2>>,
    noise: &Noise<B>,
) -> ObservedImages<B> {
    let Some(offsets) = offsets else {
        return ObservedImages { image: generator.synthesise(ws, noise), maps: Vec::new() };
    };
    let [batch, num_ws, w_dim] = ws.dims();
    let moved = ws.clone() + offsets.reshape([batch, 1, w_dim]).expand([batch, num_ws, w_dim]);
    let both = Tensor::cat(vec![ws, moved], 0);
    let noise = match noise {
        Noise::Maps(maps) => {
            Noise::Maps(maps.iter().map(|map| Tensor::cat(vec![map.clone(), map.clone()], 0)).collect())
        }
        other => other.clone(),
    };
    let resolution = nickeldime_checkpoint::model::arch::block_resolution(generator.synthesis.blocks.len() - 1);
    let names = relation::relation_blocks(resolution).into_iter().map(|block| format!("b{block}.x")).collect();
    let mut catch = CatchMaps { names, maps: Vec::new() };
    let image = generator.synthesise_tapped(both.into(), &noise, &mut catch).primal;
    ObservedImages { image: image.narrow(0, 0, batch), maps: catch.maps }
}

/// A tap that keeps the outputs of some synthesis blocks.
struct CatchMaps<B: Backend> {
    names: Vec<String>,
    maps: Vec<Tensor<B, 4>>,
}

impl<B: Backend> Tap<B> for CatchMaps<B> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        if self.names.iter().any(|wanted| wanted == name) {
            // A block's output is a feature map, so `D` is 4.
            let primitive: TensorPrimitive<B> = tensor.clone().into_primitive();
            self.maps.push(Tensor::from_primitive(primitive));
        }
    }
}
