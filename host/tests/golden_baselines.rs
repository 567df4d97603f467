//! The losses and scores of the methods that the paper compares with agree with the golden vectors.

use burn::{
    backend::{Autodiff, Flex},
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Tensor, TensorPrimitive, backend::Backend},
};
use nickeldime::{
    compress::{
        adversarial::as_real,
        baselines::{
            diversity::{self, Components, Through, sensitivity},
            energy::{self, Energy, EnergyBlock, Pass, Spectral, langevin},
            perceptual,
            relation::{self, Directions},
            slimming::{self, Proximal, Reading},
        },
        prune,
    },
    embed::{Embedder, small::Small},
    nets::{
        discriminator::Discriminator,
        generator::{Generator, Noise},
        names::gradients,
        tap::Tap,
    },
};
use nickeldime_checkpoint::model::weights::{GeneratorWeights, Tensors};
use nickeldime_testkit::golden::Golden;
use nickeldime_testkit::small_networks::{build, discriminator, generator, generator_arch, generator_weights};

type B = Flex;
type A = Autodiff<Flex>;

const CLOSE: f64 = 1e-3;

/// The pruned student of the goldens.
fn student() -> Generator<A> {
    let pruned = Golden::open("pruning.safetensors");
    let arch = generator_arch().pruned(0.5).unwrap();
    build(&GeneratorWeights { arch, tensors: pruned.below("r0.5.G.") })
}

fn teacher<B: Backend>() -> Generator<B> {
    generator(&Golden::open("generator.safetensors"))
}

fn embedder<B: Backend>() -> Embedder<B> {
    let path = nickeldime_testkit::fixtures().join("digits32/embedder.safetensors");
    let (tensors, _) = nickeldime_checkpoint::read_tensors(&path).unwrap();
    Embedder::Small(Small::new(&tensors, &Default::default()).unwrap())
}

/// The gradients of `loss`, with zeros for the parameters below `prefix` that it does not reach.
fn grads_of(golden: &Golden, prefix: &str, network: &Generator<A>, loss: Tensor<A, 1>) -> Tensors {
    let grads = GradientsParams::from_grads(loss.backward(), network);
    let mut found = gradients(network, &grads);
    for (name, zeros) in golden.below(prefix) {
        found.entry(name).or_insert(zeros * 0.0);
    }
    found
}

fn values<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

#[test]
fn gan_slimming_is_golden() {
    let golden = Golden::open("baseline-gs.safetensors");
    let g = teacher::<A>();
    let ws = g.ws(golden.tensor("in.z"));
    let layers = slimming::penalties(&g, ws.clone());
    golden.check_tensor("sparse.per_layer", &Tensor::cat(layers, 0), CLOSE);
    let penalty = slimming::penalty(&g, ws.clone());
    golden.check_tensor("sparse.loss", &penalty, CLOSE);
    golden.check_all("sparse.grad.G.", &grads_of(&golden, "sparse.grad.G.", &g, penalty), CLOSE);

    for (name, reading) in [("abs_mean", Reading::AbsoluteMean), ("mean_abs", Reading::MeanAbsolute)] {
        let scores = slimming::scores(&g, ws.clone(), reading);
        assert_eq!(scores.len(), 8);
        for (l, score) in scores.iter().enumerate() {
            golden.check(&format!("score.{name}.{l}"), score.iter().copied(), CLOSE);
        }
    }
    let scores = slimming::scores(&g, ws, Reading::AbsoluteMean);
    let kept = prune::kept(&generator_arch(), &scores, 0.5).unwrap();
    for (l, kept) in kept.iter().enumerate() {
        let mask = (0..scores[l].len()).map(|c| f32::from(u8::from(kept.contains(&c))));
        golden.check(&format!("mask_r0.5.{l}"), mask, 0.0);
    }

    let mut gamma = values(&golden.tensor::<B, 1>("prox.gamma0"));
    let gradients = values(&golden.tensor::<B, 2>("prox.grads"));
    let (mut velocity, mut steps) = (Vec::new(), Vec::<f32>::new());
    for gradient in gradients.chunks(gamma.len()) {
        Proximal { lr: 0.1, momentum: 0.5, rho: 0.5 }.step(&mut gamma, gradient, &mut velocity);
        steps.extend(&gamma);
    }
    golden.check("prox.steps", steps, CLOSE);

    let maps = |side: &str| -> Vec<Tensor<A, 4>> {
        (0..4).map(|k| golden.tensor::<A, 4>(&format!("gram.{side}.{k}")).require_grad()).collect()
    };
    let (s, t) = (maps("s"), maps("t"));
    let [content, style] = slimming::gram_terms(&s, &t);
    golden.check_tensor("gram.content", &content, CLOSE);
    golden.check_tensor("gram.style", &style, CLOSE);
    let loss = content + style.mul_scalar(1e5);
    golden.check_tensor("gram.loss", &loss, CLOSE);
    let grads = loss.backward();
    for (k, map) in s.iter().enumerate() {
        golden.check_tensor(&format!("gram.grad_s.{k}"), &map.grad(&grads).unwrap(), CLOSE);
    }
    golden.report();
}

#[test]
fn content_aware_compression_is_golden() {
    let golden = Golden::open("baseline-cagc.safetensors");
    let (t, s) = (teacher::<A>(), student());
    let d: Discriminator<A> = discriminator(&Golden::open("discriminator.safetensors"));
    let p = embedder::<A>();
    let image = |g: &Generator<A>| {
        let ws = g.mixed_ws(golden.tensor("in.z"), golden.tensor("in.z_mix"), 3);
        g.synthesise(ws, &Noise::Const)
    };
    let target = image(&t).detach();
    golden.check_tensor("img.t", &target, CLOSE);
    for (name, mask) in [("whole", None), ("masked", Some(golden.tensor::<A, 4>("mask")))] {
        let own = image(&s);
        golden.check_tensor("img.s", &own, CLOSE);
        let gan = as_real(d.clone().no_grad().forward(own.clone()));
        golden.check_tensor("gan", &gan, CLOSE);
        let masked = |x: Tensor<A, 4>| match &mask {
            Some(mask) => x * mask.clone(),
            None => x,
        };
        let (own, target) = (masked(own), masked(target.clone()));
        let l1 = (own.clone() - target.clone()).abs().mean();
        golden.check_tensor(&format!("{name}.l1"), &l1, CLOSE);
        let each = perceptual::distances(&p, own, target);
        golden.check_tensor(&format!("{name}.percept_per_image_and_map"), &each, CLOSE);
        let percept = each.mean();
        golden.check_tensor(&format!("{name}.percept"), &percept, CLOSE);
        let total = gan + l1.mul_scalar(3.0) + percept.mul_scalar(perceptual::WEIGHT);
        golden.check_tensor(&format!("{name}.total"), &total, CLOSE);
        let prefix = format!("{name}.grad.S.");
        golden.check_all(&prefix, &grads_of(&golden, &prefix, &s, total), CLOSE);
    }

    let maps = |side: &str| [0, 1].map(|k| golden.tensor::<A, 4>(&format!("lpips.{side}.{k}")).require_grad());
    let (a, b) = (maps("a"), maps("b"));
    let pairs = || a.iter().cloned().zip(b.iter().cloned());
    let plain: Vec<Tensor<A, 2>> = pairs().map(|(a, b)| perceptual::map_distance(a, b, None).reshape([2, 1])).collect();
    golden.check_tensor("lpips.unweighted", &Tensor::cat(plain, 1), CLOSE);
    let weighted = pairs()
        .enumerate()
        .map(|(k, (a, b))| perceptual::map_distance(a, b, Some(golden.tensor(&format!("lpips.w.{k}")))));
    let value = weighted.reduce(|a, b| a + b).unwrap();
    golden.check_tensor("lpips.value", &value, CLOSE);
    let grads = value.mean().backward();
    for (k, map) in a.iter().enumerate() {
        golden.check_tensor(&format!("lpips.grad_a.{k}"), &map.grad(&grads).unwrap(), CLOSE);
    }
    golden.report();
}

fn spectral(golden: &Golden, start: &str, name: &str) -> Spectral<A> {
    let weight = golden.array(&format!("E.{name}.weight"));
    let shape = weight.shape();
    let shape = [shape[0], shape[1], shape.get(2).copied().unwrap_or(1), shape.get(3).copied().unwrap_or(1)];
    let values: Vec<f32> = weight.iter().map(|&x| x as f32).collect();
    let weight = Tensor::<A, 1>::from_floats(values.as_slice(), &Default::default()).reshape(shape);
    let bias = golden.tensor(&format!("E.{name}.bias"));
    Spectral::new(weight, bias, golden.tensor(&format!("{start}.u0.{name}")), name.ends_with("conv2"))
}

fn energy(golden: &Golden, start: &str) -> Energy<A> {
    let layer = |name: &str| spectral(golden, start, name);
    let block = |i: usize| EnergyBlock {
        conv1: layer(&format!("block{i}.conv1")),
        conv2: layer(&format!("block{i}.conv2")),
        shortcut: golden.has(&format!("E.block{i}.shortcut.weight")).then(|| layer(&format!("block{i}.shortcut"))),
    };
    Energy { from_rgb: layer("from_rgb"), blocks: (0..4).map(block).collect(), out: layer("out") }
}

/// The gradients of an energy network by the goldens' names.
struct EnergyGrads<'a> {
    grads: &'a GradientsParams,
    path: Vec<String>,
    found: Tensors,
}

impl ModuleVisitor<A> for EnergyGrads<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let name = self.path.join(".").replace("blocks.", "block");
        if let Some(grad) = self.grads.get::<B, D>(param.id) {
            let values: Vec<f32> = grad.to_data().iter().collect();
            let shape = grad.dims();
            self.found.insert(name, ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&shape), values).unwrap());
        }
    }
}

#[test]
fn the_energy_network_of_itgc_is_golden() {
    let golden = Golden::open("baseline-itgc.safetensors");
    let (t, s) = (golden.tensor::<A, 4>("in.t"), golden.tensor::<A, 4>("in.s"));
    let all: Tensor<B, 5> = golden.tensor("in.noise");
    let [steps, n, c, h, w] = all.dims();
    let noises = || (0..steps).map(|k| all.clone().narrow(0, k, 1).reshape([n, c, h, w]));
    for start in ["fresh", "settled"] {
        let name = |what: &str| format!("{start}.{what}");
        let first = energy(&golden, start).forward(t.clone(), s.clone(), Pass::Training);
        golden.check_tensor(&name("energy_first"), &first, CLOSE);

        let mut e = energy(&golden, start);
        let once = langevin(&mut e, s.clone().inner(), noises().take(1), 50.0);
        golden.check_tensor(&name("mcmc.1"), &once, CLOSE);
        let mut e = energy(&golden, start);
        let x = langevin(&mut e, s.clone().inner(), noises(), 50.0);
        golden.check_tensor(&name("mcmc"), &x, CLOSE);
        let x = Tensor::<A, 4>::from_inner(x);

        let mut frozen = e.clone();
        let own = s.clone().require_grad();
        let plus = frozen.forward(t.clone(), own.clone(), Pass::Frozen);
        let minus = frozen.forward(x.clone(), own.clone(), Pass::Frozen);
        golden.check_tensor(&name("plus"), &plus, CLOSE);
        golden.check_tensor(&name("minus"), &minus, CLOSE);
        let mi = energy::bound(plus, minus);
        golden.check_tensor(&name("mi"), &mi, CLOSE);
        golden.check_tensor(&name("mi_grad_s"), &own.grad(&mi.backward()).unwrap(), CLOSE);

        let plus = e.forward(t.clone(), s.clone(), Pass::Training);
        let minus = e.forward(x, s.clone(), Pass::Training);
        let vem = energy::fit(plus, minus);
        golden.check_tensor(&name("vem"), &vem, CLOSE);
        let grads = GradientsParams::from_grads(vem.backward(), &e);
        let mut found = EnergyGrads { grads: &grads, path: Vec::new(), found: Tensors::new() };
        e.visit(&mut found);
        golden.check_all(&name("vem_grad.E."), &found.found, CLOSE);
        for (layer, u) in [("from_rgb", &e.from_rgb.u), ("block1.conv2", &e.blocks[1].conv2.u), ("out", &e.out.u)] {
            golden.check_tensor(&name(&format!("u_end.{layer}")), &u.val(), CLOSE);
        }
    }
    golden.report();
}

/// Keeps the outputs of the synthesis blocks.
struct Blocks(Vec<(String, Tensor<A, 4>)>);

impl Tap<A> for Blocks {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<A, D>) {
        if let Some(block) = name.strip_suffix(".x") {
            let primitive: TensorPrimitive<A> = tensor.clone().into_primitive();
            self.0.push((block.into(), Tensor::from_primitive(primitive)));
        }
    }
}

#[test]
fn the_relation_loss_of_stylekd_is_golden() {
    let golden = Golden::open("baseline-stylekd.safetensors");
    let weights = generator_weights(&Golden::open("generator.safetensors"));
    let signed = |vector: &[f32]| {
        let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        vector.iter().map(|x| x * largest.signum()).collect::<Vec<f32>>()
    };
    let directions = |block| Directions(Directions::of_block(&weights, block).0.iter().map(|v| signed(v)).collect());
    for block in [8, 16, 32] {
        let found = directions(block).0.concat();
        golden.check(&format!("dirs.b{block}.vectors"), found, CLOSE);
    }
    assert_eq!(relation::direction_blocks(32), [8, 16]);
    assert_eq!(relation::relation_blocks(32), [8, 16]);
    assert_eq!(relation::direction_blocks(256), [8, 16, 32, 64, 128]);
    assert_eq!(relation::relation_blocks(256), [16, 32, 64, 128]);

    let bank = Directions([directions(8).0, directions(16).0].concat());
    let choice = golden.array("in.choice").iter().map(|&x| x as usize);
    let draws: Vec<(usize, f32)> = choice.zip(golden.array("in.gauss").iter().map(|&x| x as f32)).collect();
    let offsets: Tensor<A, 2> = bank.offsets(&draws, &Default::default());
    golden.check_tensor("offsets", &offsets, CLOSE);

    let d: Discriminator<A> = discriminator(&Golden::open("discriminator.safetensors"));
    let p = embedder::<A>();
    let pass = |g: &Generator<A>| {
        let ws = g.ws(golden.tensor("in.z"));
        let [n, num_ws, w_dim] = ws.dims();
        let moved = ws.clone() + offsets.clone().reshape([n, 1, w_dim]).expand([n, num_ws, w_dim]);
        let mut blocks = Blocks(Vec::new());
        let image = g.synthesise_tapped(Tensor::cat(vec![ws, moved], 0).into(), &Noise::Const, &mut blocks).primal;
        (image.narrow(0, 0, n), blocks.0)
    };
    let t = teacher::<A>();
    let (target, teacher_blocks) = pass(&t);
    let teacher_blocks: Vec<_> = teacher_blocks.into_iter().map(|(name, map)| (name, map.detach())).collect();
    let target = target.detach();
    let s = student();
    let relations = |blocks: &[(String, Tensor<A, 4>)]| {
        let mut sum: Option<Tensor<A, 1>> = None;
        for ((name, teacher), (_, student)) in teacher_blocks.iter().zip(blocks) {
            if ["b8", "b16", "b32"].contains(&name.as_str()) {
                let (t, s) = (relation::similarities(teacher.clone()), relation::similarities(student.clone()));
                golden.check_tensor(&format!("sim.t.{name}"), &t, CLOSE);
                golden.check_tensor(&format!("sim.s.{name}"), &s, CLOSE);
                golden.check_tensor(&format!("rel.{name}"), &relation::divergence(t, s), CLOSE);
            }
            if ["b8", "b16"].contains(&name.as_str()) {
                let term = relation::loss(teacher.clone(), student.clone());
                sum = Some(sum.map_or(term.clone(), |s| s + term));
            }
        }
        sum.unwrap()
    };
    let (_, blocks) = pass(&s);
    let prefix = "rel_b8_b16.grad.S.";
    golden.check_all(prefix, &grads_of(&golden, prefix, &s, relations(&blocks)), CLOSE);

    let (own, blocks) = pass(&s);
    let gan = as_real(d.no_grad().forward(own.clone()));
    golden.check_tensor("gan", &gan, CLOSE);
    let l1 = (own.clone() - target.clone()).abs().mean();
    golden.check_tensor("l1", &l1, CLOSE);
    let percept = perceptual::distance(&p, own, target);
    golden.check_tensor("percept", &percept, CLOSE);
    let total = gan
        + l1.mul_scalar(3.0)
        + percept.mul_scalar(perceptual::WEIGHT)
        + relations(&blocks).mul_scalar(relation::WEIGHT);
    golden.check_tensor("total", &total, CLOSE);
    golden.check_all("grad.S.", &grads_of(&golden, "grad.S.", &s, total), CLOSE);
    golden.report();
}

#[test]
fn the_diversity_scores_of_dcp_are_golden() {
    let golden = Golden::open("baseline-dcp.safetensors");
    let w = values(&golden.tensor::<B, 2>("pca.w"));
    let components = Components::of(&w, 32);
    golden.check("pca.variance_ratio", components.share.iter().copied(), CLOSE);
    let axes = golden.tensor::<B, 2>("pca.components");
    let axes: Vec<Vec<f32>> = values(&axes).chunks(32).map(<[f32]>::to_vec).collect();
    for (found, wanted) in components.axes.iter().zip(&axes) {
        let cosine: f32 = found.iter().zip(wanted).map(|(a, b)| a * b).sum();
        assert!((cosine.abs() - 1.0).abs() < 1e-4, "{cosine}");
    }
    let g = teacher::<A>();
    let arch = generator_arch();
    let alpha = golden.array("in.alpha")[[0]] as f32;
    for (name, through) in [("both", Through::Both), ("one", Through::One)] {
        let picks = golden.array("in.pick").iter().map(|&i| &axes[i as usize]);
        let found: Vec<prune::Scores> = picks
            .map(|axis| {
                let w = g.mapping.forward(golden.tensor("in.z"), &mut nickeldime::nets::tap::NoTap);
                sensitivity(&g, &arch, w, axis, alpha, through)
            })
            .collect();
        let mut scores: prune::Scores = found[0].iter().map(|map| vec![0.0; map.len()]).collect();
        diversity::add_spread(&found, &mut scores);
        for l in 0..8 {
            golden.check(&format!("{name}.g.{l}"), found.iter().flat_map(|s| s[l].iter().copied()), CLOSE);
            golden.check(&format!("{name}.score.{l}"), scores[l].iter().copied(), CLOSE);
        }
    }
    golden.report();
}

#[test]
fn a_component_is_drawn_as_often_as_its_share_says() {
    let components = Components { axes: vec![vec![1.0], vec![1.0]], share: vec![0.75, 0.25] };
    let mut stream = nickeldime_checkpoint::random::Stream::new(1, "components", 0);
    let second = (0..4000).filter(|_| components.draw(&mut stream) == 1).count();
    assert!((900..1100).contains(&second), "{second}");
}

#[test]
fn a_new_energy_network_has_as_many_parameters_as_the_specification_counts() {
    for (resolution, blocks, parameters) in [(32, 4, 823_105), (256, 7, 1_708_609)] {
        let e = Energy::<B>::initial(resolution, energy::WIDTH, 0, &Default::default());
        assert_eq!(e.blocks.len(), blocks);
        let blocks = e.blocks.iter().flat_map(|b| [Some(&b.conv1), Some(&b.conv2), b.shortcut.as_ref()]).flatten();
        let layers = [&e.from_rgb, &e.out].into_iter().chain(blocks);
        let count: usize = layers.map(|l| l.weight.val().shape().num_elements() + l.bias.dims()[0]).sum();
        assert_eq!(count, parameters);
    }
}
