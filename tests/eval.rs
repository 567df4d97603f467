//! Measuring and reporting, as users and scripts do it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nickeldime::run::evals::eval_lines;
use nickeldime_testkit::{
    command::{error, json, run, text},
    fixture,
};
use serde_json::{Value, json as object};

fn teacher() -> PathBuf {
    fixture("digits32/teacher-digits32.safetensors")
}

fn digits() -> PathBuf {
    fixture("digits32/digits32.zip")
}

/// `KIND=FILE`.
fn features(kind: &str, file: &Path) -> String {
    format!("{kind}={}", text(file))
}

fn small() -> String {
    features("small", &fixture("digits32/embedder.safetensors"))
}

fn critic() -> String {
    features("critic", &teacher())
}

/// The first `count` digits, as files in nested folders.
fn some_digits(folder: &Path, count: usize) -> PathBuf {
    let data = nickeldime::data::Dataset::open(&digits()).unwrap();
    let size = data.resolution();
    let images = folder.join(format!("digits-{count}"));
    for i in 0..count {
        let picture = nickeldime::picture::Picture::from_planes(size, size, &data.image(i).unwrap());
        let below = images.join((i % 3).to_string());
        fs::create_dir_all(&below).unwrap();
        picture.write(&below.join(format!("{i}.png"))).unwrap();
    }
    images
}

/// A run of 2 kimg that has kept two students: the teacher itself.
fn a_run(folder: &Path, name: &str, method: &str) -> PathBuf {
    let run = folder.join(name);
    for below in ["students", "grids"] {
        fs::create_dir_all(run.join(below)).unwrap();
    }
    for file in ["student.safetensors", "students/000001000.safetensors", "students/000002000.safetensors"] {
        fs::copy(teacher(), run.join(file)).unwrap();
    }
    let grid = fixture("digits32/teacher-grid.png");
    for file in ["teacher.png", "000001000.png", "000002000.png"] {
        fs::copy(&grid, run.join("grids").join(file)).unwrap();
    }
    let data = some_digits(folder, 75);
    let record = object!({
        "teacher": text(&teacher()),
        "data": text(&data),
        "embeds": [{ "kind": "small", "path": "somewhere/e<b>.safetensors", "weight": 5.0 }],
        "settings": { "method": method, "ratio": 0.85, "batch": 16, "seed": 0 },
    });
    fs::write(run.join("run.json"), record.to_string()).unwrap();
    let line = |i: u32| {
        let x = f64::from(i);
        let logits = object!({ "real": 0.01 * x, "fake": -0.02 * x });
        let line = object!({
            "images": 16 * (i + 1), "feedback": 1.0 + 1.0 / (x + 1.0), "dime": 5.0, "student_critic": 1.2, "teacher_critic": 0.9,
            "matching": 0.2, "path": if i.is_multiple_of(4) { 0.01 } else { 0.0 }, "r1": 0.0, "student_logits": logits,
            "teacher_logits": logits, "replaced": 0,
        });
        format!("{line}\n")
    };
    fs::write(run.join("log.jsonl"), (0..125).map(line).collect::<String>()).unwrap();
    run
}

#[test]
fn a_model_is_measured_and_its_features_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (teacher, digits, small) = (teacher(), digits(), small());
    let args = ["eval", text(&teacher), text(&digits), "--features", &small, "--samples", "40", "--kid", "--pr"];
    let args = [&args[..], &["--cache", text(&cache)]].concat();
    let first = json(&args);
    assert_eq!((&first["samples"], &first["reference_samples"]), (&object!(40), &object!(1797)));
    assert_eq!((&first["a"]["kind"], &first["b"]["kind"]), (&object!("model"), &object!("images")));
    assert_eq!(first["features"], 704);
    assert_eq!(first["fid"], Value::Null, "not asked for");
    assert!(first["precision"].as_f64().unwrap() > 0.5 && first["recall"].as_f64().unwrap() > 0.05, "{first}");
    let extractor = &first["extractor"];
    assert_eq!((&extractor["kind"], &extractor["of_the_paper"]), (&object!("small"), &object!(false)));
    assert!(extractor["name"].as_str().unwrap().starts_with("small-"));
    assert_eq!(extractor["sha256"].as_str().unwrap().len(), 64);

    // The same from the cache, and from a damaged cache.
    let same = |second: &Value| ["kid", "precision", "recall"].iter().all(|key| first[key] == second[key]);
    let files: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    let (code, _, progress) = run(&args);
    assert_eq!((code, progress.as_str()), (0, ""), "nothing was computed anew");
    fs::write(&files[0], "damaged").unwrap();
    assert!(same(&json(&args)));
    // Other seeds are other images.
    assert!(!same(&json(&[&args[..], &["--seed", "1"]].concat())));

    let (_, said, _) = run(&args);
    for part in ["40 images", "1797 images", "KID", "precision", "small-", "704 features", "not Inception"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_set_is_no_distance_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let images = some_digits(folder.path(), 80);
    for extractor in [critic(), small()] {
        let args = ["eval", text(&images), text(&images), "--features", &extractor, "--few-samples"];
        let same = json(&args);
        assert!(same["fid"].as_f64().unwrap() < 1e-6, "{same}");
        assert_eq!((&same["precision"], &same["recall"]), (&object!(1.0), &object!(1.0)));
        assert_eq!((&same["samples"], &same["a"]["images"]), (&object!(80), &object!(80)));
    }
    let mirrored = ["eval", text(&images), text(&images), "--features", &critic(), "--fid", "--mirror"];
    assert_eq!(json(&mirrored)["samples"], 160);
}

#[test]
fn files_models_and_packs_of_the_same_images_measure_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, critic) = (teacher(), critic());
    let reference = some_digits(folder.path(), 80);
    let each = folder.path().join("each");
    let pack = folder.path().join("teacher.ndm");
    json(&["sample", text(&teacher), "--seed", "7..76", "--psi", "0.7", "--noise", "const", "--each", text(&each)]);
    json(&["pack", text(&teacher), "-o", text(&pack)]);
    let measured = |a: &Path| {
        let args = ["eval", text(a), text(&reference), "--features", &critic, "--samples", "70", "--seed", "7"];
        json(&[&args[..], &["--psi", "0.7", "--noise", "const"]].concat())
    };
    let (files, model, pack) = (measured(&each), measured(&teacher), measured(&pack));
    assert_eq!(pack["a"]["kind"], "pack");
    for key in ["fid", "kid", "precision", "recall"] {
        assert_eq!(files[key], model[key], "{key}");
    }
    let [a, b] = [&model, &pack].map(|m| m["fid"].as_f64().unwrap());
    assert!((a - b).abs() < 0.1 * a, "integers {b}, float {a}");
}

#[test]
fn what_cannot_be_measured_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let images = some_digits(folder.path(), 12);
    let (teacher, digits, small, critic) = (teacher(), digits(), small(), critic());
    let refused = |args: &[&str], why: &[&str]| {
        let said = error(&[&["eval"], args].concat());
        assert!(why.iter().all(|why| said.contains(why)), "{args:?}: {said}");
    };
    let (images, few) = (text(&images), some_digits(folder.path(), 3));
    refused(&[images, text(&digits), "--features", &small], &["704", "12", "--few-samples"]);
    refused(&[text(&few), text(&digits), "--features", &small, "--pr"], &["at least 4", "3"]);
    refused(&[images, "--features", &small], &["name what to compare it with"]);
    refused(&[images, images, "--features", &small, "--kid", "--log"], &["--log is for runs"]);
    refused(&[images, images, "--features", &small, "--snapshots"], &["--snapshots is for runs"]);
    refused(&[images, images, "--features", &critic, "--psi", "3"], &["--psi"]);
    let nothing = folder.path().join("nothing");
    refused(&[text(&nothing), images, "--features", &small], &["nothing"]);
    refused(&[images, images, "--features", &features("small", &teacher)], &["teacher", "conv1.weight"]);
    refused(&[images, images, "--features", &features("critic", &nothing)], &["nothing"]);
    let embedder = fixture("digits32/embedder.safetensors");
    refused(&[images, images, "--features", &features("critic", &embedder)], &["embedder.safetensors"]);
    let student = folder.path().join("student.safetensors");
    let arch_only =
        nickeldime_checkpoint::Checkpoint { discriminator: None, ..nickeldime_checkpoint::open(&teacher).unwrap() };
    nickeldime_checkpoint::write_checkpoint(&student, &arch_only, &Default::default()).unwrap();
    refused(&[images, images, "--features", &features("critic", &student)], &["no discriminator"]);

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["a.png", "b.png"] {
        image::RgbImage::new(16, 16).save(other.join(name)).unwrap();
    }
    refused(&[text(&other), images, "--features", &critic, "--kid"], &["16x16", "32x32"]);
    fs::write(other.join("c.png"), "no picture").unwrap();
    refused(&[text(&other), images, "--features", &small, "--kid"], &["c.png"]);
    refused(&[images, images], &["--features KIND=FILE"]);
    for args in [&["eval", "a", "b", "--features", "magic=f"][..], &["report"]] {
        assert_eq!(run(args).0, 2, "{args:?}");
    }
}

#[test]
fn a_run_is_measured_over_time_and_reported_on_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [("one", "nickel-dime"), ("two", "gan")].map(|(name, method)| a_run(folder.path(), name, method));
    let critic = critic();
    for run in &runs {
        // Against its own data, which its record names.
        let args = ["eval", text(run), "--features", &critic, "--samples", "70", "--fid", "--kid", "--log"];
        let newest = json(&args);
        assert_eq!((&newest["images"], &newest["reference_samples"]), (&object!(2000), &object!(75)));
        let all = json(&[&args[..], &["--snapshots", "--teacher"]].concat());
        let seen: Vec<_> = all["snapshots"].as_array().unwrap().iter().map(|s| s["images"].clone()).collect();
        assert_eq!(seen, [object!(1000), object!(2000), Value::Null]);
        assert_eq!(all["snapshots"][2]["teacher"], true);
        assert!(run.join("features").is_dir());
        let lines = eval_lines(run).unwrap();
        assert_eq!(lines.iter().map(|l| l.images).collect::<Vec<_>>(), [0, 1000, 2000, 2000]);
        assert!(lines.iter().all(|l| l.teacher == (l.images == 0)));
        // Three times the same student, which is the teacher, and the same images.
        assert!(lines.iter().all(|l| l.metrics == lines[0].metrics && l.extractor == lines[0].extractor));
        assert!(lines[0].metrics.fid.is_some() && lines[0].metrics.precision.is_none());
    }

    let page = folder.path().join("out.html");
    let args = ["report", text(&runs[0]), text(&runs[1]), "-o", text(&page), "--png", "--svg"];
    let reported = json(&args);
    assert_eq!(reported["runs"], object!(["one", "two"]));
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(reported["bytes"], html.len());
    for part in
        ["not the paper's", "not Inception's features", "equilibrium", "e&lt;b&gt;.safetensors", "teacher", "0.00 %"]
    {
        assert!(html.contains(part), "{part}");
    }
    let teacher = html.lines().find(|line| line.starts_with("<tr><td>teacher</td>")).unwrap();
    assert!(teacher.contains(&format!("<td>{:.2}</td>", eval_lines(&runs[0]).unwrap()[0].metrics.fid.unwrap())));
    assert!(html.contains("side by side") && html.contains("<b>Substitutions</b>"));
    assert_eq!(html.matches("<img ").count(), 9, "two students and the teacher of each run, and all side by side");
    // It fetches nothing, and runs nothing.
    for part in ["<script", "http:", "https:", "@import", "url(", "<link", "NaN"] {
        assert!(!html.contains(part), "{part}");
    }

    let plots = reported["plots"].as_array().unwrap();
    let names: Vec<&str> = plots.iter().map(|p| p.as_str().unwrap()).collect();
    for part in ["fid-critic-", "logits-one-student-critic", "logits-two-teacher-critic", "loss-dime"] {
        for extension in ["png", "svg"] {
            let found = names.iter().find(|name| name.contains(part) && name.ends_with(extension));
            let file = found.unwrap_or_else(|| panic!("{part} {extension}: {names:?}"));
            match extension {
                "png" => assert_eq!(image::open(file).unwrap().width(), 1040),
                _ => assert!(fs::read_to_string(file).unwrap().starts_with("<svg xmlns=")),
            }
        }
    }
}

#[test]
fn what_is_no_run_is_not_reported() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let run = a_run(folder.path(), "run", "gan");
    let refused = |path: &Path, why: &str| {
        let said = error(&["report", text(path), "-o", text(&page)]);
        assert!(said.contains(why), "{said}");
        assert!(!page.exists());
    };
    refused(&folder.path().join("nowhere"), "not a run");
    fs::write(run.join("grids/000002000.png"), "no picture").unwrap();
    refused(&run, "000002000.png");
    fs::write(run.join("log.jsonl"), "{\"images\": 1}\nno json\n").unwrap();
    refused(&run, "log.jsonl: line 2");
    // Without a log, grids and metrics there is little to say, and nothing wrong.
    fs::remove_file(run.join("log.jsonl")).unwrap();
    fs::remove_dir_all(run.join("grids")).unwrap();
    json(&["report", text(&run), "-o", text(&page)]);
    assert!(fs::read_to_string(&page).unwrap().contains("not yet"));
}
