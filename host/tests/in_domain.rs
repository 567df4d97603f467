//! An embedder learns from the images that it is for, with labels and without.

use std::{fs, path::Path};

use nickeldime_testkit::{
    command::{error, json, text},
    fixture,
};

fn train(data: &Path, output: &Path, more: &[&str]) -> serde_json::Value {
    let base = ["embedder", "train", "--data", text(data), "-o", text(output), "--batch", "32"];
    json(&[&base[..], more].concat())
}

#[test]
fn labels_are_learned_and_the_file_is_an_embedder() {
    let folder = tempfile::tempdir().unwrap();
    let (digits, file) = (fixture("digits32/digits32.zip"), folder.path().join("e.safetensors"));
    let learned = train(&digits, &file, &["--kimg", "3"]);
    assert_eq!((&learned["classes"], &learned["images"]), (&10.into(), &3008.into()));
    assert!(learned["accuracy"].as_f64().unwrap() > 0.8, "{learned}");
    let embed = format!("small={}", text(&file));
    let eval = ["eval", text(&digits), text(&digits), "--pr", "--features", &embed];
    let same = json(&eval);
    assert_eq!((&same["features"], &same["recall"]), (&704.into(), &1.0.into()));

    // The same again is the same file.
    let again = folder.path().join("again.safetensors");
    let _ = (train(&digits, &file, &["--kimg", "0.1"]), train(&digits, &again, &["--kimg", "0.1"]));
    assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap());
}

#[test]
fn without_labels_views_are_made_alike() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let digits = nickeldime::data::Dataset::open(&fixture("digits32/digits32.zip")).unwrap();
    fs::create_dir(&images).unwrap();
    for i in 0..48 {
        let pixels = digits.image(i).unwrap();
        let image = image::GrayImage::from_raw(32, 32, pixels[..1024].to_vec()).unwrap();
        image.save(images.join(format!("{i:02}.png"))).unwrap();
    }
    let file = folder.path().join("e.safetensors");
    let early = train(&images, &file, &["--kimg", "0.032"]);
    let late = train(&images, &file, &["--kimg", "1"]);
    assert!(early["classes"].is_null() && early["accuracy"].is_null());
    let loss = |learned: &serde_json::Value| learned["loss"].as_f64().unwrap();
    assert!(loss(&late) < 0.9 * loss(&early), "{early} {late}");
    assert!(file.is_file());
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let digits = fixture("digits32/digits32.zip");
    let output = folder.path().join("e.safetensors");
    let refused = |data: &Path, more: &[&str], part: &str| {
        let base = ["embedder", "train", "--data", text(data), "-o", text(&output)];
        let said = error(&[&base[..], more].concat());
        assert!(said.contains(part), "{said}");
        assert!(!output.exists());
    };
    refused(&folder.path().join("nothing"), &[], "nothing");
    refused(&digits, &["--lr", "0"], "--lr 0");
    refused(&digits, &["--kimg", "inf"], "--kimg inf");
}
