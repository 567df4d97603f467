//! The networks agree with the golden vectors, intermediates, gradients and costs included.

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
use nickeldime_checkpoint::model::{
    arch::GeneratorArch,
    cost::{Cost, LayerCost, LayerKind},
};
use nickeldime_testkit::fixtures;
use nickeldime_testkit::golden::{CheckTap, Golden, say};
use nickeldime_testkit::small_networks::{discriminator, generator};

type B = Flex;
type A = Autodiff<Flex>;

/// Forward passes and first gradients.
const CLOSE: f64 = 1e-4;

/// The golden tables' architectures, by their `channel_base`.
const TABLES: [(&str, &str); 2] = [("stylegan2-256", "32768"), ("paper256", "16384")];

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

#[test]
fn every_layer_costs_what_the_golden_list_says() {
    let text = std::fs::read_to_string(fixtures().join("golden/macs.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut count = 0;
    for (preset, base) in TABLES {
        let dense = GeneratorArch::preset(preset).unwrap();
        for (ratio, expected) in golden["settings"][base].as_object().unwrap() {
            let arch = dense.pruned(ratio.parse().unwrap()).unwrap();
            let cost = Cost::of(&arch);
            let totals = &expected["totals"];
            for (found, name) in [
                (cost.macs.total, "C1_full"),
                (cost.macs.paper, "C2_no_torgb"),
                (cost.params.mapping, "params_mapping"),
                (cost.params.synthesis, "params_synthesis"),
                (cost.params.total, "params_total"),
            ] {
                assert_eq!(found, totals[name], "{preset} {ratio} {name}");
                count += 1;
            }
            for (resolution, channels) in totals["channels"].as_object().unwrap() {
                let index = resolution.parse::<usize>().unwrap().ilog2() as usize - 2;
                assert_eq!(arch.channels[index] as u64, *channels);
                count += 1;
            }
            let synthesis = &cost.layers[arch.mapping_layers..];
            let layers = expected["layers"].as_array().unwrap();
            assert_eq!(layers.len(), synthesis.len());
            for (layer, expected) in synthesis.iter().zip(layers) {
                assert_eq!(layer.name, expected["name"]);
                for (found, name) in [
                    (layer.cin as u64, "cin"),
                    (layer.cout as u64, "cout"),
                    (layer.resolution as u64, "in_res"),
                    (layer.macs, "macs_conv"),
                    (layer.affine_macs, "macs_affine"),
                    (layer.params, "params"),
                ] {
                    assert_eq!(found, expected[name], "{preset} {ratio} {} {name}", layer.name);
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 2 * 5 * (5 + 7 + 20 * 6));
    say("macs.json", format_args!("{count} numbers, largest error 0"));
}

#[test]
fn costs_are_those_of_the_golden_page() {
    const RATIOS: [f64; 5] = [0.0, 0.7, 0.8, 0.9, 0.95];
    let page = std::fs::read_to_string(fixtures().join("golden/macs.md")).unwrap();
    let (mut count, mut worst) = (0, 0f64);
    for (preset, base) in TABLES {
        let section = page.split("\n## ").find(|part| part.starts_with(&format!("channel_base {base}"))).unwrap();
        let dense = GeneratorArch::preset(preset).unwrap();
        let costs = RATIOS.map(|ratio| Cost::of(&dense.pruned(ratio).unwrap()));
        let rows: Vec<Vec<&str>> = section.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
        // Two tables with a head each; the lines below the heads begin with `|-`.
        assert_eq!(rows.len(), 1 + RATIOS.len() + 1 + 20 + 1, "{preset}");
        let mut check = |cell: &str, value: f64| {
            let digits = cell.split_once('.').map_or(0, |(_, digits)| digits.len());
            let expected: f64 = cell.replace(',', "").parse().unwrap();
            // In units of the last digit that is printed.
            let error = (value - expected).abs() * 10f64.powi(digits as i32);
            assert!(error <= 0.5 + 1e-6, "{preset}: {value}, the page says {cell}");
            (count, worst) = (count + 1, worst.max(error));
        };
        for (row, cost) in rows[1..].iter().zip(&costs) {
            let sum = |of: fn(&LayerCost) -> u64, kind| -> f64 {
                cost.layers.iter().filter(|l| l.kind == kind).map(of).sum::<u64>() as f64
            };
            let convs = |cost: &Cost| -> f64 {
                cost.layers.iter().filter(|l| l.kind == LayerKind::Conv).map(|l| l.macs).sum::<u64>() as f64
            };
            let gone = |of: &dyn Fn(&Cost) -> f64| 100.0 * (1.0 - of(cost) / of(&costs[0]));
            let (total, paper) = (|c: &Cost| c.macs.total as f64, |c: &Cost| c.macs.paper as f64);
            for (cell, value) in [
                (1, convs(cost) / 1e9),
                (2, sum(|l| l.macs, LayerKind::ToRgb) / 1e9),
                (3, sum(|l| l.affine_macs, LayerKind::Conv) / 1e9),
                (4, sum(|l| l.affine_macs, LayerKind::ToRgb) / 1e9),
                (5, sum(|l| l.macs, LayerKind::Mapping) / 1e9),
                (6, total(cost) / 1e9),
                (7, gone(&total)),
                (8, paper(cost) / 1e9),
                (9, gone(&paper)),
                (10, gone(&convs)),
                (12, cost.params.synthesis as f64),
                (13, cost.params.total as f64),
            ] {
                check(row[cell], value);
            }
        }
        let layers = dense.mapping_layers..;
        for (n, row) in rows[RATIOS.len() + 2..][..20].iter().enumerate() {
            for (cell, cost) in row[1..].iter().zip(&costs) {
                let layer = &cost.layers[layers.clone()][n];
                assert_eq!(layer.name, row[0]);
                let (channels, macs) = cell.split_once(": ").unwrap();
                let (cin, cout) = channels.split_once("->").unwrap();
                let (convolution, affine) = macs.split_once(" / ").unwrap();
                let values = [layer.cin as u64, layer.cout as u64, layer.macs, layer.affine_macs];
                [cin, cout, convolution, affine].iter().zip(values).for_each(|(cell, x)| check(cell, x as f64));
            }
        }
        for (cell, cost) in rows.last().unwrap()[1..].iter().zip(&costs) {
            let mapping = cost.layers.iter().filter(|l| l.kind == LayerKind::Mapping).map(|l| l.macs).sum::<u64>();
            check(cell, mapping as f64);
        }
    }
    assert_eq!(count, 2 * 5 * (12 + 20 * 4 + 1));
    say("macs.md", format_args!("{count} numbers, largest error {worst:.2} of the last digit printed"));
}

/// The cells of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}
