//! Computes every network and loss of the training on a backend and compares it with golden numbers.

use burn::{
    module::{AutodiffModule, Module, Param},
    optim::GradientsParams,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use nickeldime_checkpoint::model::{
    arch::{DiscriminatorArch, GeneratorArch, RGB},
    weights::Tensors,
};
use nickeldime_fixtures::golden;
use serde::Serialize;

use super::vectors::{Vectors, Worst};
use crate::{
    compress::{
        adversarial::{as_fake, as_real},
        dime::{self, MomentWeights, Moments},
        nickel,
        optimise::LazyAdam,
        regularise::{path_length, r1},
    },
    nets::{
        discriminator::Discriminator,
        generator::{Generator, Noise},
        names::{self, LoadError, Named},
    },
};

/// The result of one comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The name of what was computed.
    pub name: &'static str,
    /// The number of tensors that were compared.
    pub tensors: usize,
    /// The largest error, relative to the largest entry of its tensor; `None` if a number is not finite.
    pub largest_error: Option<f64>,
    /// The tensor with that error.
    pub of: String,
}

impl Check {
    fn new(name: &'static str, Worst { tensor, error, compared }: Worst) -> Self {
        Self { name, tensors: compared, largest_error: error.is_finite().then_some(error), of: tensor }
    }

    /// True if the largest error is at most `tolerance`.
    pub fn within(&self, tolerance: f64) -> bool {
        self.largest_error.is_some_and(|error| error <= tolerance)
    }
}

/// Runs all checks on a backend.
///
/// # Errors
/// No error is known, because the networks are those of the golden files.
pub fn checks<A: AutodiffBackend>(device: &A::Device) -> Result<Vec<Check>, LoadError> {
    Ok(vec![
        Check::new("generator", generator::<A>(device)?),
        Check::new("path length", path::<A>(device)?),
        Check::new("discriminator", discriminator::<A>(device)?),
        Check::new("R1", penalty::<A>(device)?),
        Check::new("adversarial losses", adversarial::<A>(device)?),
        Check::new("NICKEL", nickel::<A>(device)),
        Check::new("DiME", dime::<A>(device)),
        Check::new("Adam", adam::<A>(device)),
    ])
}

/// The shape of the generator in the golden files.
fn arch() -> GeneratorArch {
    let channels = vec![16, 16, 12, 8];
    GeneratorArch { z_dim: 32, w_dim: 32, mapping_layers: 2, channels, img_channels: RGB, conv_clamp: None }
}

fn g<B: Backend>(file: &Vectors, device: &B::Device) -> Result<Generator<B>, LoadError> {
    names::load(Generator::new(&arch(), device), &file.below("G."))
}

fn d<B: Backend>(file: &Vectors, device: &B::Device) -> Result<Discriminator<B>, LoadError> {
    let arch = DiscriminatorArch::beside(&arch(), 4);
    names::load(Discriminator::new(&arch, device), &file.below("D."))
}

fn gradients<A: AutodiffBackend, M: AutodiffModule<A> + Named>(loss: Tensor<A, 1>, module: &M) -> Tensors {
    names::gradients(module, &GradientsParams::from_grads(loss.backward(), module))
}

const TRACKED: &str = "a tensor that requires a gradient has one";

fn generator<A: AutodiffBackend>(device: &A::Device) -> Result<Worst, LoadError> {
    let mut file = Vectors::new(golden::GENERATOR);
    let g = g::<A>(&file, device)?;
    let image = g.synthesise(g.ws(file.tensor("in.z", device)), &Noise::Const);
    file.compare("psi1.img", image);
    let ws = file.tensor::<A, 3>("in.ws_random", device).require_grad();
    let image = g.synthesise(ws.clone(), &Noise::Const);
    file.compare("wsrand.img", image.clone());
    let grads = (image * file.tensor("in.cot", device)).sum().backward();
    file.compare("grad1.ws_random", ws.grad(&grads).expect(TRACKED));
    let found = names::gradients(&g, &GradientsParams::from_grads(grads, &g));
    file.compare_all("grad1.G.", &found);
    Ok(file.worst())
}

fn path<A: AutodiffBackend>(device: &A::Device) -> Result<Worst, LoadError> {
    let mut file = Vectors::new(golden::GENERATOR);
    let g = g::<A>(&file, device)?;
    let ws = g.ws(file.tensor("in.z", device));
    let unit = file.tensor("pl.noise_unit", device);
    let (penalty, after) = path_length(&g, ws, &Noise::Const, unit, file.number("pl.mean_before"));
    file.compare_values("pl.mean_after", [after].into_iter());
    file.compare_values("pl.loss", [penalty.value].into_iter());
    file.compare_all("pl.grad.G.", &gradients(penalty.surrogate, &g));
    Ok(file.worst())
}

fn discriminator<A: AutodiffBackend>(device: &A::Device) -> Result<Worst, LoadError> {
    let mut file = Vectors::new(golden::DISCRIMINATOR);
    let d = d::<A>(&file, device)?;
    let image = file.tensor::<A, 4>("in.img", device).require_grad();
    let logits = d.forward(image.clone());
    file.compare("d.logits", logits.clone());
    let loss = as_real(logits);
    file.compare("grad1.loss", loss.clone());
    let grads = loss.backward();
    file.compare("grad1.img", image.grad(&grads).expect(TRACKED));
    let found = names::gradients(&d, &GradientsParams::from_grads(grads, &d));
    file.compare_all("grad1.D.", &found);
    Ok(file.worst())
}

fn penalty<A: AutodiffBackend>(device: &A::Device) -> Result<Worst, LoadError> {
    let mut file = Vectors::new(golden::DISCRIMINATOR);
    let d = d::<A>(&file, device)?;
    let penalty = r1(&d, file.tensor("in.img", device), 0.5);
    file.compare_values("r1.loss_gamma0.5", [penalty.value].into_iter());
    file.compare_all("r1.grad.D.", &gradients(penalty.surrogate, &d));
    Ok(file.worst())
}

fn adversarial<A: AutodiffBackend>(device: &A::Device) -> Result<Worst, LoadError> {
    let (generator, discriminator) = (Vectors::new(golden::GENERATOR), Vectors::new(golden::DISCRIMINATOR));
    let mut file = Vectors::new(golden::GAN_LOSSES);
    let (g, d) = (g::<A>(&generator, device)?, d::<A>(&discriminator, device)?);
    let ws = g.mixed_ws(file.tensor("in.z", device), file.tensor("in.z_mix", device), 3);
    let image = g.synthesise(ws, &Noise::Const);
    file.compare("gmain.img", image.clone());
    let loss = as_real(d.clone().no_grad().forward(image.clone()));
    file.compare("gmain.loss", loss.clone());
    file.compare_all("gmain.grad.G.", &gradients(loss, &g));
    let fake = as_fake(d.forward(image.detach()));
    let real = as_real(d.forward(discriminator.tensor("in.img", device)));
    file.compare("dmain.loss_fake", fake.clone());
    file.compare("dmain.loss_real", real.clone());
    file.compare_all("dmain.grad.D.", &gradients(fake + real, &d));
    Ok(file.worst())
}

fn nickel<A: AutodiffBackend>(device: &A::Device) -> Worst {
    let mut file = Vectors::new(golden::NICKEL_DWT);
    let student = file.tensor::<A, 4>("nickel.student", device).require_grad();
    let loss = nickel::feature_matching(file.tensor("nickel.teacher", device), student.clone());
    file.compare("nickel.loss", loss.clone());
    file.compare("nickel.grad_student", student.grad(&loss.backward()).expect(TRACKED));
    file.worst()
}

fn dime<A: AutodiffBackend>(device: &A::Device) -> Worst {
    let mut file = Vectors::new(golden::DIME);
    let sides = [("dino", 20.0), ("clip", 15.0)].map(|(name, weight)| {
        let row = |name: String| file.tensor::<A, 1>(&name, device).unsqueeze();
        let [first, second] = ["first", "second"].map(|moment| row(format!("global.{name}_{moment}")));
        let features = file.tensor::<A, 2>(&format!("in.{name}"), device).require_grad();
        let weights = MomentWeights { first: weight, second: weight };
        (name, features.clone(), dime::loss(features, &Moments { first, second }, weights))
    });
    let [(_, _, dino), (_, _, clip)] = &sides;
    let total = dino.clone() + clip.clone();
    file.compare("loss.total", total.clone());
    let grads = total.backward();
    for (name, features, _) in sides {
        file.compare(&format!("grad.{name}"), features.grad(&grads).expect(TRACKED));
    }
    file.worst()
}

/// A module with one parameter, to test the optimiser.
#[derive(Module, Debug)]
struct One<B: Backend> {
    p: Param<Tensor<B, 2>>,
}

fn adam<A: AutodiffBackend>(device: &A::Device) -> Worst {
    let mut file = Vectors::new(golden::ADAM);
    let grads: Tensor<A, 3> = file.tensor("grads", device);
    for (prefix, interval) in [("plain", None), ("G_interval4", Some(4)), ("D_interval16", Some(16))] {
        let mut adam = LazyAdam::<One<A>, A>::new(0.0025, interval);
        let mut one = One { p: Param::from_tensor(file.tensor("p0", device)) };
        let mut steps = Vec::new();
        for t in 0..5 {
            let grad = grads.clone().narrow(0, t, 1).reshape([3, 4]);
            let loss = (one.p.val() * grad).sum();
            (one, _) = adam.step(one, loss);
            steps.extend(one.p.val().into_data().iter::<f32>());
        }
        file.compare_values(&format!("{prefix}.params"), steps.into_iter());
    }
    file.worst()
}
