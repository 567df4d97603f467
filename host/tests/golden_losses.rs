//! The losses of the method agree with the golden vectors and, where they have gradients of gradients, with nested
//! autodiff.

use burn::{
    backend::{Autodiff, Flex},
    module::{Module, Param},
    optim::GradientsParams,
    tensor::{Tensor, backend::Backend},
};
use nickeldime::{
    compress::{
        dime::{self, MomentWeights, Moments},
        nickel,
        optimise::LazyAdam,
        prune::{self, SaltAndPepper},
        regularise::{Penalty, path_length, r1},
    },
    embed::{Embedder, small::Small},
    nets::{
        discriminator::Discriminator,
        generator::{Generator, Noise},
        names::gradients,
        resize::bilinear,
    },
};
use nickeldime_testkit::golden::Golden;
use nickeldime_testkit::small_networks::{discriminator, generator, generator_arch};

type B = Flex;
type A = Autodiff<Flex>;
type Nested = Autodiff<Autodiff<Flex>>;

const CLOSE: f64 = 1e-4;

#[test]
fn r1_gradient_is_golden() {
    let golden = Golden::open("discriminator.safetensors");
    let d: Discriminator<A> = discriminator(&golden);
    let Penalty { value, surrogate } = r1(&d, golden.tensor("in.img"), 0.5);
    golden.check("r1.loss_gamma0.5", [value], CLOSE);
    let grads = GradientsParams::from_grads(surrogate.backward(), &d);
    let mut found = gradients(&d, &grads);
    // Biases behind the last nonlinearity have no gradient at all; the file has zeros.
    for (name, zeros) in golden.below("r1.grad.D.") {
        found.entry(name).or_insert(zeros * 0.0);
    }
    golden.check_all("r1.grad.D.", &found, CLOSE);
    golden.report();
}

#[test]
fn path_length_gradient_is_golden() {
    let golden = Golden::open("generator.safetensors");
    let g: Generator<A> = generator(&golden);
    let before = golden.array("pl.mean_before")[[0]] as f32;
    let (penalty, after) =
        path_length(&g, g.ws(golden.tensor("in.z")), &Noise::Const, golden.tensor("pl.noise_unit"), before);
    golden.check("pl.mean_after", [after], CLOSE);
    golden.check("pl.loss", [penalty.value], CLOSE);
    let grads = GradientsParams::from_grads(penalty.surrogate.backward(), &g);
    let mut found = gradients(&g, &grads);
    for (name, zeros) in golden.below("pl.grad.G.") {
        found.entry(name).or_insert(zeros * 0.0);
    }
    golden.check_all("pl.grad.G.", &found, CLOSE);
    golden.report();
}

/// R1 by differentiating the gradient itself.
fn nested_r1(d: &Discriminator<Nested>, images: Tensor<Nested, 4>, gamma: f32) -> Tensor<A, 1> {
    let [batch, ..] = images.dims();
    let images = images.require_grad();
    let grads = d.forward(images.clone()).sum().backward();
    let slope: Tensor<A, 4> = images.grad(&grads).unwrap();
    slope.powi_scalar(2).sum().mul_scalar(gamma / (2.0 * batch as f32))
}

#[test]
fn r1_by_dual_numbers_equals_nested_autodiff() {
    let golden = Golden::open("discriminator.safetensors");
    let d: Discriminator<A> = discriminator(&golden);
    let Penalty { value, surrogate } = r1(&d, golden.tensor("in.img"), 0.5);
    let dual = GradientsParams::from_grads(surrogate.backward(), &d);
    let dual = gradients(&d, &dual);

    // The nested network's parameters are those of an inner network that autodiff tracks too.
    let inner: Discriminator<A> = discriminator(&golden);
    let outer = nickeldime_testkit::nested::lift(&inner);
    let loss = nested_r1(&outer, golden.tensor("in.img"), 0.5);
    let nested_value: f32 = loss.clone().into_scalar();
    assert!((value - nested_value).abs() < 1e-5 * value.abs());
    let grads = GradientsParams::from_grads(loss.backward(), &inner);
    let nested = gradients(&inner, &grads);
    let mut worst = 0f32;
    for (name, a) in &nested {
        let zeros = a * 0.0;
        let b = dual.get(name).unwrap_or(&zeros);
        let scale = a.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-12);
        let error = (a - b).iter().fold(0f32, |m, x| m.max(x.abs())) / scale;
        assert!(error < 1e-4, "{name}: {error}");
        worst = worst.max(error);
    }
    assert!(nested.len() > 15, "{}", nested.len());
    println!("r1 dual against nested: {} tensors, largest error {worst:.1e}", nested.len());
}

#[test]
fn haar_bands_and_feature_matching_are_golden() {
    let golden = Golden::open("nickel_dwt.safetensors");
    for prefix in ["dwt", "dwt_odd"] {
        let mut low: Tensor<B, 4> = golden.tensor(&format!("{prefix}.in"));
        for level in 0..nickel::LEVELS {
            let (next, high) = nickel::haar(low);
            golden.check_tensor(&format!("{prefix}.high{level}"), &high, CLOSE);
            low = next;
        }
        golden.check_tensor(&format!("{prefix}.low"), &low, CLOSE);
    }
    let teacher: Tensor<A, 4> = golden.tensor("nickel.teacher");
    let student = golden.tensor::<A, 4>("nickel.student").require_grad();
    let levels = nickel::level_losses(teacher.clone(), student.clone());
    let levels = levels.map(|l| l.into_data().iter::<f32>().sum::<f32>());
    golden.check("nickel.level_losses", levels, CLOSE);
    let loss = nickel::feature_matching(teacher, student.clone());
    golden.check_tensor("nickel.loss", &loss, CLOSE);
    let weighted = loss.clone().mul_scalar(nickel::WEIGHT);
    golden.check_tensor("nickel.loss_times_10", &weighted, CLOSE);
    let grads = loss.backward();
    golden.check_tensor("nickel.grad_student", &student.grad(&grads).unwrap(), CLOSE);
    golden.report();
}

#[test]
fn dime_losses_and_gradients_are_golden() {
    let golden = Golden::open("dime.safetensors");
    let mut total: Option<Tensor<A, 1>> = None;
    let mut inputs = Vec::new();
    for (name, weight) in [("dino", 20.0), ("clip", 15.0)] {
        let row = |name: String| golden.tensor::<A, 1>(&name).unsqueeze();
        let global =
            Moments { first: row(format!("global.{name}_first")), second: row(format!("global.{name}_second")) };
        let features = golden.tensor::<A, 2>(&format!("in.{name}")).require_grad();
        let [first, second] = Moments::of(features.clone()).distances(&global);
        golden.check_tensor(&format!("loss.{name}_first"), &first, CLOSE);
        golden.check_tensor(&format!("loss.{name}_second"), &second, CLOSE);
        let weights = MomentWeights { first: weight, second: weight };
        let loss = dime::loss(features.clone(), &global, weights);
        total = Some(total.map_or(loss.clone(), |t| t + loss));
        inputs.push((name, features));
    }
    let total = total.unwrap();
    golden.check_tensor("loss.total", &total, CLOSE);
    let grads = total.backward();
    for (name, features) in inputs {
        golden.check_tensor(&format!("grad.{name}"), &features.grad(&grads).unwrap(), CLOSE);
    }
    golden.report();
}

#[test]
fn bilinear_resize_is_golden() {
    let golden = Golden::open("bilinear.safetensors");
    let up = bilinear(golden.tensor::<B, 4>("up.in"), 224, 224);
    let rows = up.clone().narrow(2, 0, 16);
    golden.check_tensor("up.out_224_rows_0_to_15", &rows, CLOSE);
    golden.check_tensor("up.out_mean_abs", &up.abs().mean(), CLOSE);
    let down = bilinear(golden.tensor::<B, 4>("down.in_20x20"), 14, 14);
    golden.check_tensor("down.out_14x14", &down, CLOSE);
    let small = golden.tensor::<A, 4>("small.in").require_grad();
    let out = bilinear(small.clone(), 17, 23);
    golden.check_tensor("small.out_17x23", &out, CLOSE);
    let grads = (out * golden.tensor("small.cot")).sum().backward();
    golden.check_tensor("small.grad_in", &small.grad(&grads).unwrap(), CLOSE);
    golden.report();
}

#[test]
fn small_embedder_is_golden() {
    let golden = Golden::open("embedder-digits32.safetensors");
    let path = nickeldime_testkit::fixtures().join("digits32/embedder.safetensors");
    let (tensors, _) = nickeldime_checkpoint::read_tensors(&path).unwrap();
    let small = Small::new(&tensors, &Default::default()).unwrap();
    let embedder: Embedder<B> = Embedder::Small(small);
    let features = embedder.features(golden.tensor("in.img"));
    golden.check_tensor("features", &features, CLOSE);
    golden.report();
}

/// One parameter, to follow the optimiser.
#[derive(Module, Debug)]
struct One<B: Backend> {
    p: Param<Tensor<B, 2>>,
}

#[test]
fn lazy_adam_is_golden() {
    let golden = Golden::open("adam.safetensors");
    let grads: Tensor<A, 3> = golden.tensor("grads");
    for (prefix, interval) in [("plain", None), ("G_interval4", Some(4)), ("D_interval16", Some(16))] {
        let mut adam = LazyAdam::<One<A>, A>::new(0.0025, interval);
        let mut one = One { p: Param::from_tensor(golden.tensor("p0")) };
        let mut steps = Vec::new();
        for t in 0..5 {
            let grad = grads.clone().narrow(0, t, 1).reshape([3, 4]);
            let loss = (one.p.val() * grad).sum();
            let replaced;
            (one, replaced) = adam.step(one, loss);
            assert_eq!(replaced, 0);
            steps.extend(one.p.val().into_data().iter::<f32>());
        }
        golden.check(&format!("{prefix}.params"), steps, CLOSE);
    }
    golden.report();
}

#[test]
fn gradients_that_are_not_finite_are_replaced() {
    let mut adam = LazyAdam::<One<A>, A>::new(0.1, None);
    let device = Default::default();
    let start = [[1.0f32, 1.0, 1.0, 1.0]];
    let one = One { p: Param::from_tensor(Tensor::from_floats(start, &device)) };
    let grad = Tensor::from_floats([[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5]], &device);
    let loss = (one.p.val() * grad).sum();
    let (one, replaced) = adam.step(one, loss);
    assert_eq!(replaced, 3);
    let values: Vec<f32> = one.p.val().into_data().iter().collect();
    // Adam's first step has length `rate`, whatever the gradient's size.
    for (value, expected) in values.iter().zip([1.0, 0.9, 1.1, 0.9]) {
        assert!((value - expected).abs() < 1e-5, "{values:?}");
    }
}

#[test]
fn pruning_masks_networks_and_images_are_golden() {
    let golden = Golden::open("pruning.safetensors");
    let file = Golden::open("generator.safetensors");
    let weights = nickeldime_testkit::small_networks::generator_weights(&file);
    let scores: prune::Scores =
        (0..8).map(|l| golden.array(&format!("scores.{l}")).iter().map(|&x| x as f32).collect()).collect();
    for ratio in [0.5, 0.7] {
        let kept = prune::kept(&weights.arch, &scores, ratio).unwrap();
        for (l, kept) in kept.iter().enumerate() {
            let mask = (0..scores[l].len()).map(|c| f32::from(u8::from(kept.contains(&c))));
            golden.check(&format!("r{ratio}.mask.{l}"), mask, 0.0);
        }
        let pruned = prune::cut(&weights, &kept, ratio).unwrap();
        golden.check_all(&format!("r{ratio}.G."), &pruned.tensors, 0.0);
        let g: Generator<B> = nickeldime_testkit::small_networks::build(&pruned);
        let image = g.synthesise(g.ws(file.tensor("in.z")), &Noise::Const);
        golden.check_tensor(&format!("r{ratio}.img"), &image, CLOSE);
    }

    let g: Generator<A> = generator(&file);
    let values = |name: &str| golden.array(name).iter().map(|&x| x as f32).collect();
    let noise = SaltAndPepper { replaced: values("l1.noised_pixels"), sign: values("l1.salt_pepper_sign") };
    let mut scores: prune::Scores = scores.iter().map(|s| vec![0.0; s.len()]).collect();
    let arch = generator_arch();
    let loss = prune::content_aware_batch(&g, &arch, file.tensor("in.z"), &noise, &mut scores);
    golden.check("l1.loss", [loss], CLOSE);
    for (l, score) in scores.into_iter().enumerate() {
        golden.check(&format!("l1.score.{l}"), score, CLOSE);
    }
    golden.report();
}

#[test]
fn the_trained_teacher_draws_its_golden_images() {
    let golden = Golden::open("teacher-digits32-golden.safetensors");
    let path = nickeldime_testkit::fixtures().join("digits32/teacher-digits32.pkl");
    let teacher = nickeldime_checkpoint::open(&path).unwrap();
    let g: Generator<B> = nickeldime_testkit::small_networks::build(&teacher.generator);
    let w = g.mapping.forward(golden.tensor("in.z"), &mut nickeldime::nets::tap::NoTap);
    golden.check_tensor("w", &w, CLOSE);
    let ws = g.broadcast(w);
    let image = g.synthesise(ws.clone(), &Noise::Const);
    golden.check_tensor("img_psi1_const", &image, CLOSE);
    let near = g.synthesise(g.mapping.truncate(ws, 0.7, None), &Noise::Const);
    golden.check_tensor("img_psi0.7_const", &near, CLOSE);
    let critic = teacher.discriminator.unwrap();
    let d: Discriminator<B> = nickeldime_testkit::small_networks::build_critic(&critic);
    golden.check_tensor("D_logits_on_img_psi1", &d.forward(image), CLOSE);
    golden.check_tensor("D_logits_on_real8", &d.forward(golden.tensor("real8")), CLOSE);
    golden.report();
}
