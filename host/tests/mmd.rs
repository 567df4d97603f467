//! The unbiased MMD against its formula in f64, its gradient against differences, and in a run.

use std::fs;

use burn::{
    backend::{Autodiff, Flex},
    tensor::{Tensor, TensorData, backend::Backend},
};
use nickeldime::compress::mmd::{Bank, Mmd};
use nickeldime_testkit::{
    command::{error, run, text},
    fixture, hashed,
};

type A = Autodiff<Flex>;

type Rows = Vec<Vec<f64>>;

fn rows(seed: u32, count: usize, width: usize, shift: f64) -> Rows {
    (0..count).map(|i| (0..width).map(|j| hashed::u(seed, (i * width + j) as u32) + shift).collect()).collect()
}

fn tensor<B: Backend>(rows: &Rows) -> Tensor<B, 2> {
    let values: Vec<f32> = rows.iter().flatten().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), &Default::default())
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The formula of `mmd.rs`, sum by sum.
fn oracle(mmd: Mmd, x: &Rows, y: &Rows) -> f64 {
    let mut distances: Vec<f64> = Vec::new();
    for i in 0..y.len() {
        distances.extend(y[i + 1..].iter().map(|other| squared(&y[i], other)));
    }
    distances.sort_by(f64::total_cmp);
    let width = distances[distances.len() / 2];
    let kappa = |a: &[f64], b: &[f64]| match mmd {
        Mmd::Rbf => (-squared(a, b) / width).exp(),
        _ => (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64 + 1.0).powi(3),
    };
    let own = |rows: &Rows| {
        let mut sum = 0.0;
        for i in 0..rows.len() {
            for j in 0..rows.len() {
                sum += if i == j { 0.0 } else { kappa(&rows[i], &rows[j]) };
            }
        }
        sum / (rows.len() * (rows.len() - 1)) as f64
    };
    let across: f64 = x.iter().map(|a| y.iter().map(|b| kappa(a, b)).sum::<f64>()).sum();
    own(x) + own(y) - 2.0 * across / (x.len() * y.len()) as f64
}

#[test]
fn the_estimate_and_its_gradient_are_the_formulas() {
    for mmd in [Mmd::Rbf, Mmd::Poly] {
        for shift in [0.0, 0.4] {
            let (mut x, y) = (rows(1, 6, 10, shift), rows(2, 15, 10, 0.0));
            let bank = Bank::<A>::new(mmd, tensor(&y)).unwrap();
            let batch = tensor::<A>(&x).require_grad();
            let loss = bank.loss(batch.clone());
            let found: f64 = loss.clone().into_scalar().into();
            let expected = oracle(mmd, &x, &y);
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(0.1), "{mmd:?} {shift}: {found} {expected}");
            let slope: Vec<f64> = batch.grad(&loss.backward()).unwrap().into_data().iter().collect();
            let step = 1e-5;
            for i in 0..x.len() {
                for j in 0..x[0].len() {
                    let at = x[i][j];
                    let mut there = |value| {
                        x[i][j] = value;
                        oracle(mmd, &x, &y)
                    };
                    let expected = (there(at + step) - there(at - step)) / (2.0 * step);
                    there(at);
                    let found = slope[i * 10 + j];
                    assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{mmd:?}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn the_estimate_is_unbiased() {
    // Batches out of the bank's own distribution: 0 in the mean, and away from it where the distribution is another.
    for mmd in [Mmd::Rbf, Mmd::Poly] {
        let bank = Bank::<Flex>::new(mmd, tensor(&rows(3, 400, 6, 0.0))).unwrap();
        let mean = |shift: f64| {
            let batches = (0..300).map(|seed| tensor::<Flex>(&rows(100 + seed, 4, 6, shift)));
            batches.map(|batch| f64::from(bank.loss(batch).into_scalar())).sum::<f64>() / 300.0
        };
        let (same, other) = (mean(0.0), mean(0.5));
        assert!(same.abs() < 0.02 && other > 0.1, "{mmd:?}: {same} {other}");
    }
}

#[test]
fn what_has_no_pairs_is_no_bank() {
    assert!(Bank::<Flex>::new(Mmd::Moments, tensor(&rows(1, 4, 3, 0.0))).is_none());
    assert!(Bank::<Flex>::new(Mmd::Rbf, tensor(&rows(1, 1, 3, 0.0))).is_none());
    // A teacher that always draws the same has no width: still a number.
    let same = Bank::<Flex>::new(Mmd::Rbf, Tensor::ones([3, 2], &Default::default())).unwrap();
    assert!(same.loss(tensor(&rows(1, 2, 2, 0.0))).into_scalar().is_finite());
}

#[test]
fn a_run_learns_by_a_kernel_and_keeps_its_bank() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, data) = (fixture("digits32/teacher-digits32.pkl"), fixture("digits32/digits32.zip"));
    let embed = format!("small={}", fixture("digits32/embedder.safetensors").display());
    let base = ["compress", "--teacher", text(&teacher), "--data", text(&data), "--embed", &embed, "--batch", "4"];
    let more = ["--kimg", "0.004", "--criterion", "magnitude", "--bank-samples", "24"];
    for mmd in ["rbf", "poly"] {
        let output = folder.path().join(mmd);
        let args = [&base[..], &more, &["--mmd", mmd, "-o", text(&output)]].concat();
        let (code, _, said) = run(&args);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("24 teacher images") && said.contains("not by the paper's moments"), "{said}");
        assert_eq!(fs::read_dir(output.join("bank")).unwrap().count(), 1);
        let log = fs::read_to_string(output.join("log.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert!(line["dime"].as_f64().unwrap().abs() > 0.0, "{line}");
        let (code, _, said) = run(&["compress", "--resume", "-o", text(&output)]);
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("teacher features:"), "the bank was drawn again: {said}");
    }
    let output = folder.path().join("none");
    let args = [&base[..], &["--bank-samples", "1", "-o", text(&output)]].concat();
    assert!(error(&args).contains("bank-samples 1"));
    assert!(!output.exists());
}
