//! The integer engine draws what the float generator draws.

use nickeldime::draw::{NoiseMode, Preview, render};
use nickeldime::quantise::{
    Calibration, Fidelity, LOOKS, PackFile, PackOptions, PackWriteError, choose_16_bit_layers, psnr, write_pack,
};
use nickeldime_checkpoint::model::weights::GeneratorWeights;
use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::latent::{self, gaussian};
use nickeldime_core::pack::{NoiseKind, Pack, WeightWidth};
use nickeldime_testkit::fixture;
use nickeldime_testkit::oracle::{OracleNoise, generator, load, mapping, synthesis};

/// Images of the teacher's comparison. The promise is about 64; a debug build's oracle is slow.
const SEEDS: u64 = if cfg!(debug_assertions) { 6 } else { 64 };

/// z of a seed as the float generator takes it.
fn z_of(seed: u64, len: usize) -> Vec<f64> {
    (0..len as u32).map(|i| f64::from(gaussian(seed, i)) / 4096.0).collect()
}

/// Calibration over seeds that no test looks at.
fn calibrate(g: &GeneratorWeights, noise: OracleNoise<'_>, seeds: u64) -> Calibration {
    let mut calibration = Calibration::new(LOOKS);
    for seed in 1_000_000..1_000_000 + seeds {
        let w = mapping(g, &z_of(seed, g.arch.z_dim), 1.0);
        synthesis(g, &w, noise, &mut |name, values| calibration.observe(name, values));
    }
    calibration
}

fn fidelity(g: &GeneratorWeights, pack: &[u8], noise: Noise, seeds: u64) -> Fidelity {
    let pack = Pack::open(pack).unwrap();
    let random = |layer: u32, y: u32, x: u32| f64::from(latent::noise(5, layer, y, x)) / 4096.0;
    let ratios: Vec<f64> = (0..seeds)
        .map(|seed| {
            let oracle_noise = match noise {
                Noise::None => OracleNoise::None,
                Noise::Const => OracleNoise::Const,
                Noise::Random(_) => OracleNoise::Given(&random),
            };
            let w = mapping(g, &z_of(seed, g.arch.z_dim), 1.0);
            let float = synthesis(g, &w, oracle_noise, &mut |_, _| {});
            let sample = Sample { latent: Latent::Seed(seed), psi: 16384, noise };
            psnr(&render(&pack, &sample).unwrap(), &float, 3)
        })
        .collect();
    Fidelity::of(&ratios).unwrap()
}

fn teacher() -> GeneratorWeights {
    generator(load(&fixture("digits32/teacher-digits32.safetensors"), "G_ema."), None)
}

fn options(name: &str) -> PackOptions {
    PackOptions {
        name: name.to_owned(),
        noise: NoiseKind::Const,
        const_noise: Some(WeightWidth::I8),
        ..PackOptions::default()
    }
}

/// 44 dB mean, 36 dB worst: measured 51.9 and 46.9.
#[test]
fn integers_stay_near_the_float_teacher() {
    let g = teacher();
    let calibration = calibrate(&g, OracleNoise::Const, 8);
    let file = write_pack(&g, &calibration, &options("teacher")).unwrap();
    for noise in [Noise::None, Noise::Const, Noise::Random(5)] {
        let fidelity = fidelity(&g, &file.bytes, noise, SEEDS);
        println!("{noise:?} {fidelity:?}");
        assert!(fidelity.mean_db >= 44.0 && fidelity.worst_db >= 36.0, "{noise:?}: {fidelity:?}");
    }
}

/// Measured: 53.3 dB to nearest, 56.4 by the outputs' error; 49.3 with an 8-bit mapping, 50.5 with 8 kB for wider weights.
#[test]
fn rounding_looks_at_the_outputs_and_wider_weights_go_where_the_images_show_them() {
    let g = teacher();
    let seeds: Vec<u64> = (1_000_000..1_000_064).collect();
    let calibration = Preview::new(&g).unwrap().calibrate(&seeds, LOOKS, NoiseMode::Const, &mut |_| {});
    let mean = |pack: &PackFile, seeds| fidelity(&g, &pack.bytes, Noise::Const, seeds).mean_db;
    let options = options("teacher");
    let nearest = write_pack(&g, &calibrate(&g, OracleNoise::Const, 8), &options).unwrap();
    let rounded = write_pack(&g, &calibration, &options).unwrap();
    let (before, after) = (mean(&nearest, 16), mean(&rounded, 16));
    println!("to nearest {before:.1} dB, by the outputs' error {after:.1} dB");
    assert!(after > before + 2.0, "{before} {after}");
    assert!(rounded.layers.iter().all(|layer| layer.sqnr_db.is_some_and(|db| db > 30.0)), "{:?}", rounded.layers);

    let options = PackOptions { mapping: WeightWidth::I8, ..options };
    let narrow = write_pack(&g, &calibration, &options).unwrap();
    let error =
        &mut |pack: &[u8]| Ok::<_, PackWriteError>(10f64.powf(-fidelity(&g, pack, Noise::Const, 4).mean_db / 10.0));
    let wide = choose_16_bit_layers(&g, &calibration, &options, 8192, error).unwrap();
    let wider = write_pack(&g, &calibration, &PackOptions { sixteen_bit: wide, ..options }).unwrap();
    let (before, after) = (mean(&narrow, 16), mean(&wider, 16));
    println!("8-bit mapping {before:.1} dB, with 8 kB more {after:.1} dB");
    assert!(after > before + 1.0, "{before} {after}");
    assert!((narrow.bytes.len() + 1..=narrow.bytes.len() + 8192).contains(&wider.bytes.len()));
}

/// A generator with random weights of trained statistics' size: nothing is exactly at its initial value.
fn random_generator(
    z_dim: usize,
    w_dim: usize,
    layers: usize,
    channels: &[usize],
    clamp: Option<f32>,
) -> GeneratorWeights {
    let mut index = 0;
    let mut normal = |shape: &[usize], scale: f32, offset: f32| {
        let values = (0..shape.iter().product::<usize>()).map(|_| {
            index += 1;
            offset + scale * f32::from(gaussian(99, index)) / 4096.0
        });
        ndarray::ArrayD::from_shape_vec(shape, values.collect()).unwrap()
    };
    let mut tensors = std::collections::BTreeMap::new();
    for layer in 0..layers {
        let inputs = if layer == 0 { z_dim } else { w_dim };
        tensors.insert(format!("mapping.fc{layer}.weight"), normal(&[w_dim, inputs], 100.0, 0.0));
        tensors.insert(format!("mapping.fc{layer}.bias"), normal(&[w_dim], 20.0, 0.0));
    }
    tensors.insert("mapping.w_avg".into(), normal(&[w_dim], 0.3, 0.0));
    tensors.insert("synthesis.b4.const".into(), normal(&[channels[0], 4, 4], 1.0, 0.0));
    for (index, &out) in channels.iter().enumerate() {
        let resolution = 4 << index;
        let block = format!("synthesis.b{resolution}");
        let mut affine = |name: &str, inputs: usize| {
            tensors.insert(format!("{name}.affine.weight"), normal(&[inputs, w_dim], 0.6, 0.0));
            tensors.insert(format!("{name}.affine.bias"), normal(&[inputs], 0.2, 1.0));
        };
        let inputs = |conv: usize| if conv == 0 { channels[index - 1] } else { out };
        let convs = if index == 0 { 1..2 } else { 0..2 };
        for conv in convs.clone() {
            affine(&format!("{block}.conv{conv}"), inputs(conv));
        }
        affine(&format!("{block}.torgb"), out);
        for conv in convs {
            let name = format!("{block}.conv{conv}");
            tensors.insert(format!("{name}.weight"), normal(&[out, inputs(conv), 3, 3], 1.0, 0.0));
            tensors.insert(format!("{name}.bias"), normal(&[out], 0.3, 0.0));
            tensors.insert(format!("{name}.noise_strength"), normal(&[], 0.1, -0.1));
            tensors.insert(format!("{name}.noise_const"), normal(&[resolution, resolution], 1.0, 0.0));
        }
        tensors.insert(format!("{block}.torgb.weight"), normal(&[3, out, 1, 1], 0.4, 0.0));
        tensors.insert(format!("{block}.torgb.bias"), normal(&[3], 0.1, 0.0));
    }
    generator(tensors, clamp)
}

#[test]
fn integers_stay_near_other_generators() {
    for (g, mean, worst) in [
        (random_generator(24, 40, 3, &[17, 13, 9, 7, 5], Some(256.0)), 44.0, 36.0),
        (random_generator(8, 5, 1, &[3, 2], None), 44.0, 36.0),
        (random_generator(16, 16, 8, &[12, 10, 7], Some(1.0)), 40.0, 36.0),
        // Its image reaches 12.5, far beyond white: the same relative error is a larger one here.
        (generator(load(&fixture("golden/generator.safetensors"), "G."), None), 40.0, 36.0),
    ] {
        let calibration = calibrate(&g, OracleNoise::Const, 16);
        let file = write_pack(&g, &calibration, &options("other")).unwrap();
        for noise in [Noise::None, Noise::Const, Noise::Random(5)] {
            let fidelity = fidelity(&g, &file.bytes, noise, 8);
            println!("{:?} {noise:?} {fidelity:?}", g.arch.channels);
            assert!(fidelity.mean_db >= mean && fidelity.worst_db >= worst, "{noise:?}: {fidelity:?}");
        }
    }
}

#[test]
fn truncation_is_the_float_generators() {
    let g = teacher();
    let calibration = calibrate(&g, OracleNoise::Const, 8);
    let file = write_pack(&g, &calibration, &options("teacher")).unwrap();
    let pack = Pack::open(&file.bytes).unwrap();
    for (psi, fixed) in [(0.7, 11469), (-1.0, -16384), (1.5, 24576), (0.0, 0)] {
        let w = mapping(&g, &z_of(3, 64), psi);
        let float = synthesis(&g, &w, OracleNoise::None, &mut |_, _| {});
        let from_seed = Sample { latent: Latent::Seed(3), psi: fixed, noise: Noise::None };
        let given: Vec<i32> = w.iter().map(|v| (v * 65536.0).round() as i32).collect();
        let from_w = Sample { latent: Latent::W(&given), ..from_seed };
        for sample in [from_seed, from_w] {
            assert!(psnr(&render(&pack, &sample).unwrap(), &float, 3) > 40.0, "psi {psi}");
        }
    }
}

#[test]
fn a_pack_says_where_its_bytes_go() {
    let g = teacher();
    let calibration = calibrate(&g, OracleNoise::None, 1);
    let file = write_pack(&g, &calibration, &options("teacher")).unwrap();
    let p = file.parts;
    assert_eq!(p.mapping + p.affine + p.conv + p.torgb + p.noise + p.tables, file.bytes.len());
    assert_eq!(p.mapping, 2 * 4 * 64 * 64);
    assert_eq!(p.conv, 9 * (64 * 64 * 5 + 64 * 32 + 32 * 32));
    let narrow = PackOptions { mapping: WeightWidth::I8, const_noise: None, ..options("narrow") };
    let narrow = write_pack(&g, &calibration, &narrow).unwrap();
    assert_eq!((narrow.parts.mapping, narrow.parts.noise), (4 * 64 * 64, 0));
    let pack = Pack::open(&narrow.bytes).unwrap();
    assert!(pack.name() == "narrow" && !pack.has_const_noise());
    // The same weights give the same bytes.
    assert_eq!(write_pack(&g, &calibration, &options("teacher")).unwrap().bytes, file.bytes);
}

#[test]
fn what_cannot_be_packed_is_refused_by_name() {
    let g = random_generator(4, 4, 1, &[2, 2], None);
    let calibration = calibrate(&g, OracleNoise::None, 1);
    let refused = |g: &GeneratorWeights, calibration: &Calibration, name: &str| {
        write_pack(g, calibration, &options(name)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&g, &Calibration::new(LOOKS), "x").contains("b4.img was never observed"));
    assert!(refused(&g, &calibration, &"x".repeat(65)).contains("name's length"));
    let mut missing = g.clone();
    missing.tensors.remove("synthesis.b8.conv0.bias");
    assert!(refused(&missing, &calibration, "x").contains("synthesis.b8.conv0.bias is missing"));
    let mut infinite = g.clone();
    infinite.tensors.get_mut("synthesis.b4.const").unwrap()[[0, 0, 0]] = f32::NAN;
    assert!(refused(&infinite, &calibration, "x").contains("not finite"));
}

/// Which part of the quantisation costs how much: one part's weights rounded, everything else in float. Prints a table.
#[test]
#[ignore = "a measurement, not a promise: run with --ignored --nocapture"]
fn ablation_of_the_teacher() {
    let g = teacher();
    let nearest = |row: &[f64]| {
        let step = row.iter().fold(0f64, |m, w| m.max(w.abs())) / 127.0;
        row.iter().map(|w| (w / step).round() * step).collect::<Vec<_>>()
    };
    let searched = |row: &[f64], width| {
        let row = nickeldime::quantise::integers::quantise_row(row, width);
        row.integers.iter().map(|&q| f64::from(q) * row.scale).collect::<Vec<_>>()
    };
    type Rounding<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
    let roundings: [(&str, Rounding<'_>); 3] = [
        ("i8 nearest", &nearest),
        ("i8 searched", &|row| searched(row, WeightWidth::I8)),
        ("i16", &|row| searched(row, WeightWidth::I16)),
    ];
    for part in ["mapping.", ".affine.weight", "conv", "torgb.weight", ""] {
        for (name, rounding) in roundings {
            let mut rounded = g.clone();
            for (tensor, values) in &mut rounded.tensors {
                let is_conv = tensor.contains(".conv") && !tensor.contains("affine");
                let chosen = if part == "conv" { is_conv } else { tensor.contains(part) };
                if !(chosen && tensor.ends_with(".weight")) {
                    continue;
                }
                for mut row in values.outer_iter_mut() {
                    let exact: Vec<f64> = row.iter().map(|&v| v.into()).collect();
                    row.iter_mut().zip(rounding(&exact)).for_each(|(to, v)| *to = v as f32);
                }
            }
            let ratios: Vec<f64> = (0..64)
                .map(|seed| {
                    let image = |g: &GeneratorWeights| {
                        let w = mapping(g, &z_of(seed, 64), 1.0);
                        synthesis(g, &w, OracleNoise::Const, &mut |_, _| {})
                    };
                    let pixel = |v: f32| (f64::from(v) * 127.5 + 127.5).clamp(0.0, 255.0);
                    let (a, b) = (image(&g), image(&rounded));
                    let sum: f64 = a.iter().zip(&b).map(|(&a, &b)| (pixel(a) - pixel(b)).powi(2)).sum();
                    10.0 * (255.0 * 255.0 * a.len() as f64 / sum).log10()
                })
                .collect();
            let of = Fidelity::of(&ratios).unwrap();
            let part = if part.is_empty() { "all" } else { part };
            println!("{part:16} {name:12} mean {:.1} worst {:.1}", of.mean_db, of.worst_db);
        }
    }
    let calibration = calibrate(&g, OracleNoise::Const, 16);
    let (narrow, wide) = (WeightWidth::I8, WeightWidth::I16);
    for (mapping, affine, rgb) in
        [(narrow, narrow, narrow), (wide, narrow, narrow), (wide, wide, narrow), (wide, wide, wide)]
    {
        let options = PackOptions { mapping, affine, rgb, ..options("ablation") };
        let file = write_pack(&g, &calibration, &options).unwrap();
        let of = fidelity(&g, &file.bytes, Noise::Const, 64);
        println!(
            "mapping {mapping:?} affine {affine:?} toRGB {rgb:?}: {} bytes, mean {:.1} worst {:.1}",
            file.bytes.len(),
            of.mean_db,
            of.worst_db
        );
    }
}
