//! The tests' own float generator is StyleGAN2's.

use std::collections::BTreeMap;

use nickeldime_testkit::fixture;
use nickeldime_testkit::oracle::{OracleNoise, generator, load, mapping, synthesis};

/// Largest difference as a fraction of the reference's largest entry.
fn difference(ours: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(ours.len(), reference.len());
    let largest = reference.iter().fold(0f32, |m, v| m.max(v.abs()));
    ours.iter().zip(reference).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

fn check(conv_clamp: Option<f32>, prefix: &str, psi: f64, noise: OracleNoise<'_>, blocks: bool) {
    let file = load(&fixture("golden/generator.safetensors"), "");
    let g = generator(load(&fixture("golden/generator.safetensors"), "G."), conv_clamp);
    for (n, z) in file["in.z"].outer_iter().enumerate() {
        let z: Vec<f64> = z.iter().map(|&v| v.into()).collect();
        let mut taps = BTreeMap::new();
        let image = synthesis(&g, &mapping(&g, &z, psi), noise, &mut |name, values| {
            taps.insert(name.to_owned(), values.to_vec());
        });
        let of = |name: &str| {
            let all = file[&format!("{prefix}.{name}")].as_slice().unwrap();
            all[n * all.len() / 4..(n + 1) * all.len() / 4].to_vec()
        };
        assert!(difference(&image, &of("img")) < 1e-5);
        for resolution in [4, 8, 16, 32].into_iter().filter(|_| blocks) {
            for name in ["x", "img"].map(|what| format!("b{resolution}.{what}")) {
                assert!(difference(&taps[&name], &of(&name)) < 1e-5, "{name}");
            }
        }
    }
}

#[test]
fn oracle_matches_the_reference() {
    check(None, "psi1", 1.0, OracleNoise::Const, true);
    check(None, "psi0.7", 0.7, OracleNoise::Const, false);
    check(None, "psi1_noise_none", 1.0, OracleNoise::None, false);
    check(Some(1.25), "psi1_clamp1.25", 1.0, OracleNoise::Const, true);
}

#[test]
fn oracle_matches_the_teacher() {
    let file = load(&fixture("golden/teacher-digits32-golden.safetensors"), "");
    let g = generator(load(&fixture("digits32/teacher-digits32.safetensors"), "G_ema."), None);
    let references = file["img_psi1_const"].outer_iter().zip(file["in.z"].outer_iter());
    for (reference, z) in references.take(2) {
        let z: Vec<f64> = z.iter().map(|&v| v.into()).collect();
        let image = synthesis(&g, &mapping(&g, &z, 1.0), OracleNoise::Const, &mut |_, _| {});
        assert!(difference(&image, &reference.iter().copied().collect::<Vec<_>>()) < 1e-5);
    }
}
