//! The networks agree with the golden vectors, intermediates and gradients included.

mod support;

use burn::{
    backend::{Autodiff, Flex},
    optim::GradientsParams,
    tensor::{Tensor, activation::softplus},
};
use nickeldime::nets::{
    discriminator::Discriminator,
    dual::Dual,
    generator::{Generator, Noise},
    names::gradients,
    tap::NoTap,
};
use support::golden::{CheckTap, Golden};
use support::small_networks::{discriminator, generator};

type B = Flex;
type A = Autodiff<Flex>;

/// Forward passes and first gradients.
const CLOSE: f64 = 1e-4;

#[test]
fn generator_intermediates_are_golden() {
    let golden = Golden::open("generator.safetensors");
    let mut g: Generator<B> = generator(&golden);
    let z = golden.tensor("in.z");
    let w = g.mapping.forward(z, &mut CheckTap::new(&golden, "map.", CLOSE));
    golden.check_tensor("map.w", &w, CLOSE);
    let ws = g.broadcast(w.clone());
    golden.check_tensor("map.ws_psi1", &ws, CLOSE);
    let truncated = g.mapping.truncate(ws.clone(), 0.7, None);
    golden.check_tensor("map.ws_psi0.7", &truncated, CLOSE);
    let cutoff = g.mapping.truncate(ws.clone(), 0.7, Some(4));
    golden.check_tensor("map.ws_psi0.7_cutoff4", &cutoff, CLOSE);
    let mut trained = g.mapping.clone();
    trained.track(w);
    golden.check_tensor("map.w_avg_after_one_training_update", &trained.w_avg.val(), CLOSE);

    let mut tap = CheckTap::new(&golden, "psi1.", CLOSE);
    let image = g.synthesise_tapped(ws.clone().into(), &Noise::Const, &mut tap);
    // 7 layers with styles, dcoefs, out; 4 toRGB with styles, out; 4 blocks with x, img.
    assert_eq!(tap.seen, 7 * 3 + 4 * 2 + 4 * 2);
    golden.check_tensor("psi1.img", &image.primal, CLOSE);

    let image = g.synthesise(truncated, &Noise::Const);
    golden.check_tensor("psi0.7.img", &image, CLOSE);
    let image = g.synthesise(ws.clone(), &Noise::None);
    golden.check_tensor("psi1_noise_none.img", &image, CLOSE);
    let image = g.synthesise(golden.tensor("in.ws_random"), &Noise::Const);
    golden.check_tensor("wsrand.img", &image, CLOSE);

    g.clamp = Some(256.0);
    let image = g.synthesise(ws.clone(), &Noise::Const);
    golden.check_tensor("psi1_clamp256.img", &image, CLOSE);
    g.clamp = Some(1.25);
    let mut tap = CheckTap::new(&golden, "psi1_clamp1.25.", CLOSE);
    let image = g.synthesise_tapped(ws.into(), &Noise::Const, &mut tap);
    assert_eq!(tap.seen, 8);
    golden.check_tensor("psi1_clamp1.25.img", &image.primal, CLOSE);
    golden.report();
}

#[test]
fn generator_first_gradients_are_golden() {
    let golden = Golden::open("generator.safetensors");
    let g: Generator<A> = generator(&golden);
    let ws = golden.tensor::<A, 3>("in.ws_random").require_grad();
    let image = g.synthesise(ws.clone(), &Noise::Const);
    let grads = (image * golden.tensor("in.cot")).sum().backward();
    golden.check_tensor("grad1.ws_random", &ws.grad(&grads).unwrap(), CLOSE);
    let grads = GradientsParams::from_grads(grads, &g);
    golden.check_all("grad1.G.", &gradients(&g, &grads), CLOSE);
    golden.report();
}

#[test]
fn discriminator_intermediates_are_golden() {
    let golden = Golden::open("discriminator.safetensors");
    let mut d: Discriminator<B> = discriminator(&golden);
    let image: Tensor<B, 4> = golden.tensor("in.img");
    let mut tap = CheckTap::new(&golden, "d.", CLOSE);
    let logits = d.forward_tapped(image.clone().into(), &mut tap).primal;
    // 3 blocks with conv0, conv1, skip, x; fromrgb; mbstd, conv, fc of the epilogue.
    assert_eq!(tap.seen, 3 * 4 + 1 + 3);
    golden.check_tensor("d.logits", &logits, CLOSE);
    for (block, size) in [("d.b32.x", 16), ("d.b16.x", 8), ("d.b8.x", 4)] {
        golden.check_tensor(block, &d.features(image.clone(), size), CLOSE);
    }
    let mut tap = CheckTap::new(&golden, "d_batch2.", CLOSE);
    let two = d.forward_tapped(image.clone().narrow(0, 0, 2).into(), &mut tap);
    golden.check_tensor("d_batch2.logits", &two.primal, CLOSE);
    d.clamp = Some(256.0);
    golden.check_tensor("d_clamp256.logits", &d.forward(image.clone()), CLOSE);
    d.clamp = Some(1.25);
    let mut tap = CheckTap::new(&golden, "d_clamp1.25.", CLOSE);
    let logits = d.forward_tapped(image.into(), &mut tap).primal;
    golden.check_tensor("d_clamp1.25.logits", &logits, CLOSE);
    golden.report();
}

#[test]
fn discriminator_first_gradients_are_golden() {
    let golden = Golden::open("discriminator.safetensors");
    let d: Discriminator<A> = discriminator(&golden);
    let image = golden.tensor::<A, 4>("in.img").require_grad();
    let loss = softplus(d.forward(image.clone()).neg(), 1.0).mean();
    golden.check_tensor("grad1.loss", &loss, CLOSE);
    let grads = loss.backward();
    golden.check_tensor("grad1.img", &image.grad(&grads).unwrap(), CLOSE);
    let grads = GradientsParams::from_grads(grads, &d);
    golden.check_all("grad1.D.", &gradients(&d, &grads), CLOSE);
    golden.report();
}

#[test]
fn gan_losses_and_their_gradients_are_golden() {
    let golden = Golden::open("gan_losses.safetensors");
    let g: Generator<A> = generator(&Golden::open("generator.safetensors"));
    let d_file = Golden::open("discriminator.safetensors");
    let d: Discriminator<A> = discriminator(&d_file);
    let ws = g.mixed_ws(golden.tensor("in.z"), golden.tensor("in.z_mix"), 3);
    let image = g.synthesise(ws, &Noise::Const);
    golden.check_tensor("gmain.img", &image, CLOSE);
    let logits = d.forward(image.clone());
    golden.check_tensor("gmain.logits", &logits, CLOSE);
    let loss = softplus(logits.neg(), 1.0).mean();
    golden.check_tensor("gmain.loss", &loss, CLOSE);
    let grads = GradientsParams::from_grads(loss.backward(), &g);
    golden.check_all("gmain.grad.G.", &gradients(&g, &grads), CLOSE);

    let fake = softplus(d.forward(image.detach()), 1.0).mean();
    let real = softplus(d.forward(d_file.tensor("in.img")).neg(), 1.0).mean();
    golden.check_tensor("dmain.loss_fake", &fake, CLOSE);
    golden.check_tensor("dmain.loss_real", &real, CLOSE);
    let grads = GradientsParams::from_grads((fake + real).backward(), &d);
    golden.check_all("dmain.grad.D.", &gradients(&d, &grads), CLOSE);
    golden.report();
}

#[test]
fn tangents_are_directional_derivatives() {
    // <v, grad f> by one backward pass equals the sum of the forward-mode tangent, layer by layer.
    let golden = Golden::open("generator.safetensors");
    let g: Generator<A> = generator(&golden);
    let ws = golden.tensor::<A, 3>("in.ws_random").require_grad();
    let v: Tensor<A, 3> = golden.tensor("map.ws_psi0.7");
    let image = g.synthesise_tapped(Dual::along(ws.clone(), v.clone()), &Noise::Const, &mut NoTap);
    let forward: f32 = image.tangent.unwrap().sum().into_scalar();
    let grads = image.primal.sum().backward();
    let reverse: f32 = (ws.grad(&grads).unwrap() * v.inner()).sum().into_scalar();
    assert!((forward - reverse).abs() < 1e-4 * reverse.abs().max(1.0), "{forward} {reverse}");
}
