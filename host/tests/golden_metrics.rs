//! The metrics agree with the golden vectors.

use ndarray::{ArrayView2, Ix2};
use nickeldime::metrics::{FewSamples, Gaussian, fid, kid_of_all, precision_recall, radii};
use nickeldime_testkit::fixtures;
use nickeldime_testkit::golden::{Golden, say};

const CLOSE: f64 = 1e-6;

fn rows<'a>(golden: &'a Golden, name: &str) -> ArrayView2<'a, f64> {
    golden.array(name).view().into_dimensionality::<Ix2>().unwrap()
}

#[test]
fn metrics_are_golden() {
    let golden = Golden::open("metrics.safetensors");
    let (real, generated) = (rows(&golden, "real"), rows(&golden, "gen"));

    let mut gaussians = [real, generated].map(|set| Gaussian::of(set).unwrap());
    for (gaussian, set) in gaussians.iter().zip(["real", "gen"]) {
        golden.check(&format!("mu_{set}"), gaussian.mean.iter().copied(), CLOSE);
        golden.check(&format!("cov_{set}_ddof0"), gaussian.covariance.iter().copied(), CLOSE);
    }
    let distance = fid(real, generated, FewSamples::Refuse).unwrap();
    golden.check("fid_ddof0", [distance], CLOSE);
    for gaussian in &mut gaussians {
        let n = gaussian.samples as f64;
        gaussian.covariance *= n / (n - 1.0);
    }
    let sample = gaussians[0].distance(&gaussians[1], FewSamples::Refuse).unwrap();
    golden.check("fid_ddof1", [sample], CLOSE);

    let kernel = kid_of_all(real, generated).unwrap();
    golden.check("kid", [kernel], CLOSE);

    golden.check("knn_radius_real_k3", radii(real, 3).unwrap(), CLOSE);
    golden.check("knn_radius_gen_k3", radii(generated, 3).unwrap(), CLOSE);
    let shares = precision_recall(real, generated, 3).unwrap();
    golden.check("precision", [shares.precision], CLOSE);
    golden.check("recall", [shares.recall], CLOSE);
    golden.report();

    // The same numbers stand in a file of their own.
    let text = std::fs::read_to_string(fixtures().join("golden/metrics.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut worst = 0f64;
    let found = [
        ("fid_ddof0", distance),
        ("fid_ddof1", sample),
        ("kid", kernel),
        ("precision", shares.precision),
        ("recall", shares.recall),
    ];
    for (name, value) in found {
        let expected = expected[name].as_f64().unwrap();
        worst = worst.max((value - expected).abs() / expected);
    }
    assert_eq!(expected.as_object().unwrap().len(), found.len());
    assert!(worst <= CLOSE, "{worst}");
    say("metrics.json", format_args!("{} numbers, largest error {worst:.1e}", found.len()));
}

#[test]
fn single_precision_features_have_the_same_metrics() {
    let golden = Golden::open("metrics.safetensors");
    let [real, generated] = ["real", "gen"].map(|name| rows(&golden, name).mapv(|x| x as f32));
    golden.check("fid_ddof0", [fid(real.view(), generated.view(), FewSamples::Refuse).unwrap()], CLOSE);
    golden.check("kid", [kid_of_all(real.view(), generated.view()).unwrap()], CLOSE);
    let shares = precision_recall(real.view(), generated.view(), 3).unwrap();
    golden.check("precision", [shares.precision], CLOSE);
    golden.check("recall", [shares.recall], CLOSE);
    golden.report();
}
