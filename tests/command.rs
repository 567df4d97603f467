//! The command without a board: what scripts and users rely on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use ndarray::{Array2, ArrayD};
use nickeldime_checkpoint::{Tensors, read_tensors, write_tensors};
use nickeldime_core::latent::gaussian;
use nickeldime_testkit::{
    command::{error, json, run, text},
    fixture, official, oracle, pickle_writer,
};

fn images(path: &Path) -> ArrayD<f32> {
    read_tensors(path).unwrap().0.remove("images").expect("raw files have images")
}

fn latents(path: &Path, name: &str, rows: &Array2<f32>) {
    write_tensors(path, &Tensors::from([(name.to_string(), rows.clone().into_dyn())]), &Default::default()).unwrap();
}

/// A pack of the fixture's teacher, made once.
fn teacher_pack() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let pack = Path::new(env!("CARGO_TARGET_TMPDIR")).join("teacher.ndm");
        let packed = json(&["pack", text(&fixture("digits32/teacher-digits32.pkl")), "-o", text(&pack)]);
        assert_eq!(packed["pack_bytes"], fs::metadata(&pack).unwrap().len());
        assert!(packed["psnr_db"].as_f64().unwrap() >= 44.0, "{packed}");
        assert!(packed["psnr_worst_db"].as_f64().unwrap() >= 36.0, "{packed}");
        pack
    };
    MADE.get_or_init(make)
}

#[test]
fn official_checkpoints_of_other_shapes_draw_the_oracles_images() {
    let folder = tempfile::tempdir().unwrap();
    let arch = official::other();
    let checkpoint = official::Official::new(&arch);
    let weights = &checkpoint.checkpoint.generator;
    let rows = Array2::from_shape_fn((3, arch.z_dim), |(n, i)| f32::from(gaussian(n as u64, i as u32)) / 4096.0);
    let (file, raw) = (folder.path().join("z.safetensors"), folder.path().join("raw.safetensors"));
    latents(&file, "z", &rows);
    for protocol in [2, 3, 4] {
        let model = folder.path().join(format!("{protocol}.pkl"));
        fs::write(&model, checkpoint.pickle(protocol)).unwrap();
        for (noise, expected) in [("const", oracle::OracleNoise::Const), ("none", oracle::OracleNoise::None)] {
            json(&["sample", text(&model), "--latents", text(&file), "--noise", noise, "--raw", text(&raw)]);
            let drawn = images(&raw);
            assert_eq!(drawn.shape(), [3, 3, 64, 64]);
            for (z, drawn) in rows.rows().into_iter().zip(drawn.outer_iter()) {
                let z: Vec<f64> = z.iter().map(|&x| x.into()).collect();
                let w = oracle::mapping(weights, &z, 1.0);
                let expected = oracle::synthesis(weights, &w, expected, &mut |_, _| {});
                let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
                for (a, b) in drawn.iter().zip(&expected) {
                    assert!((a - b).abs() <= 1e-4 * largest, "{a} {b}");
                }
            }
        }
    }
}

#[test]
fn an_imported_checkpoint_draws_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let imported = folder.path().join("t.safetensors");
    let teacher = fixture("digits32/teacher-digits32-proto3.pkl");
    assert_eq!(json(&["import", text(&teacher), "-o", text(&imported)])["discriminator"], true);
    let hash = |model: &Path| json(&["sample", text(model), "--seed", "0..3"])["sha256"].clone();
    assert_eq!(hash(&teacher), hash(&imported));
    assert_eq!(hash(&teacher), hash(&fixture("digits32/teacher-digits32.pkl")));
}

#[test]
fn inspect_gives_the_papers_numbers_without_a_file() {
    for (ratio, rate) in [("0.7", 90.73), ("0.8", 95.88), ("0.9", 98.92), ("0.95", 99.69)] {
        let cost = json(&["inspect", "--arch", "paper256", "--ratio", ratio]);
        let found = cost["compression_rate"].as_f64().unwrap();
        assert_eq!((found * 100.0).round() / 100.0, rate, "{ratio}");
    }
    let cost = json(&["inspect", "--arch", "paper256", "--ratio", "0.95"]);
    assert_eq!(cost["params"]["total"], 2_346_059);
    assert_eq!(cost["params"]["mapping"], 2_101_248);
    assert_eq!(cost["macs"]["total"], 47_497_440);
    let teacher = json(&["inspect", text(&fixture("digits32/teacher-digits32.pkl"))]);
    assert_eq!(teacher["resolution"], 32);
    assert_eq!(teacher["channels"]["4"], 64);
    assert_eq!(teacher["channels"]["32"], 32);
    assert!(teacher["macs"]["paper"].as_u64().unwrap() < teacher["macs"]["total"].as_u64().unwrap());
}

#[test]
fn a_pack_draws_the_same_from_seeds_and_from_their_latents() {
    let folder = tempfile::tempdir().unwrap();
    let pack = teacher_pack();
    let rows = Array2::from_shape_fn((4, 64), |(n, i)| f32::from(gaussian(n as u64, i as u32)) / 4096.0);
    let z = folder.path().join("z.safetensors");
    latents(&z, "z", &rows);
    for psi in ["1", "0.7", "-0.5"] {
        let seeds = json(&["sample", text(pack), "--seed", "0..3", "--psi", psi]);
        let given = json(&["sample", text(pack), "--latents", text(&z), "--psi", psi]);
        assert_eq!(seeds["sha256"], given["sha256"], "psi {psi}");
        assert_eq!(seeds["images"], 4);
    }
}

#[test]
fn a_pack_is_near_its_float_model_with_every_noise() {
    let folder = tempfile::tempdir().unwrap();
    let pack = teacher_pack();
    let raw = folder.path().join("raw.safetensors");
    for noise in ["none", "const", "random"] {
        let draw = |model: &Path| {
            json(&["sample", text(model), "--seed", "5..12", "--noise", noise, "--raw", text(&raw)]);
            images(&raw)
        };
        let float = draw(&fixture("digits32/teacher-digits32.pkl")).mapv(|x| (x * 127.5 + 127.5).clamp(0.0, 255.0));
        let error = (float - draw(pack)).mapv(|x| x * x).mean().unwrap();
        let psnr = 10.0 * (255.0f32 * 255.0 / error).log10();
        assert!(psnr >= 44.0, "{noise}: {psnr} dB");
    }
}

#[test]
fn images_are_written_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let (grid, each) = (folder.path().join("grid.png"), folder.path().join("each"));
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let args = ["sample", text(&teacher), "--seed", "0..5", "--columns", "3", "-o", text(&grid), "--each", text(&each)];
    json(&args);
    let picture = image::open(&grid).unwrap();
    assert_eq!((picture.width(), picture.height()), (3 * 64, 2 * 64));
    assert_eq!(fs::read_dir(&each).unwrap().count(), 6);
    assert_eq!(image::open(each.join("0005.png")).unwrap().width(), 32);
}

#[test]
fn a_pickle_that_would_run_something_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, witness) = (folder.path().join("evil.pkl"), folder.path().join("witness"));
    for module in ["os", "posix", "subprocess", "builtins"] {
        let command = pickle_writer::text(&format!("touch {}", text(&witness)));
        let object = pickle_writer::dict([("G_ema", pickle_writer::call(module, "system", vec![command]))]);
        fs::write(&model, pickle_writer::pickle(&object, 4)).unwrap();
        let said = error(&["inspect", text(&model)]);
        assert!(said.contains("evil.pkl") && said.contains("system"), "{said}");
    }
    assert!(!witness.exists());
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    let whole = fs::read(fixture("digits32/teacher-digits32.pkl")).unwrap();
    for length in [0, 1, 2, 100, 5_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&damaged, &whole[..length]).unwrap();
        let said = error(&["sample", text(&damaged)]);
        assert!(said.contains(text(&damaged)), "{said}");
    }
    let whole = fs::read(teacher_pack()).unwrap();
    for at in [0, 10, 70, 500, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&damaged, &bytes).unwrap();
        let said = error(&["sample", text(&damaged)]);
        assert!(said.contains(text(&damaged)), "{said}");
        fs::write(&damaged, &whole[..at]).unwrap();
        error(&["sample", text(&damaged)]);
    }
    let said = error(&["sample", text(&folder.path().join("nowhere.pkl"))]);
    assert!(said.contains("nowhere.pkl"), "{said}");
}

#[test]
fn latents_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let pack = teacher_pack();
    let file = folder.path().join("l.safetensors");
    let refused = |name: &str, rows: &Array2<f32>| {
        latents(&file, name, rows);
        for model in [&*teacher, pack] {
            error(&["sample", text(model), "--latents", text(&file)]);
        }
    };
    refused("z", &Array2::zeros((2, 63)));
    refused("w", &Array2::zeros((2, 65)));
    refused("y", &Array2::zeros((2, 64)));
    refused("z", &Array2::from_elem((1, 64), f32::NAN));
    refused("z", &Array2::zeros((0, 64)));
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for args in [
        &["sample"][..],
        &["sample", "x", "--seed", "5..2"],
        &["inspect", "--arch", "paper257"],
        &["compress", "--teacher", "t", "--data", "d", "-o", "o", "--embed", "dyno=f"],
        &["fly"],
    ] {
        assert_eq!(run(args).0, 2, "{args:?}");
    }
}

#[test]
fn the_demo_ends_with_equal_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let shown = json(&["demo", "-o", text(&out), "--board", "host", "--kimg", "0.032"]);
    assert_eq!(shown["host_sha256"], shown["device_sha256"]);
    assert!(shown["psnr_db"].as_f64().unwrap() > 40.0, "{shown}");
    assert_eq!(shown["pack_bytes"], fs::metadata(out.join("student.ndm")).unwrap().len());
    for key in ["student", "pack", "ram_bytes", "device"] {
        assert!(!shown[key].is_null(), "{key}");
    }
    for grid in ["teacher", "student", "host", "device"] {
        assert_eq!(image::open(out.join(format!("{grid}.png"))).unwrap().width(), 8 * 64);
    }
}

#[test]
fn two_seeds_join_alike_in_float_and_in_integers() {
    let pack = teacher_pack();
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let hash = |model: &Path, more: &[&str]| {
        json(&[&["sample", text(model), "--seed", "1..3"], more].concat())["sha256"].clone()
    };
    for model in [pack, &*teacher] {
        let alone = hash(model, &[]);
        assert_eq!(hash(model, &["--towards", "9", "--weight", "0"]), alone);
        assert_eq!(hash(model, &["--mix", "9", "--cut", "8"]), alone);
        assert_ne!(hash(model, &["--towards", "9", "--weight", "0.5"]), alone);
        assert_ne!(hash(model, &["--mix", "9", "--cut", "4"]), alone);
    }
    let wrong = error(&["sample", text(pack), "--towards", "9", "--weight", "2"]);
    assert!(wrong.contains("--weight 2"), "{wrong}");
}

#[test]
fn a_new_generator_of_any_shape_becomes_a_pack() {
    let folder = tempfile::tempdir().unwrap();
    let (model, pack) = (folder.path().join("new.safetensors"), folder.path().join("new.ndm"));
    let made = json(&["new", "--arch", "digits32", "--ratio", "0.7", "--seed", "3", "-o", text(&model)]);
    assert_eq!(made["resolution"], 32);
    let packed = json(&["pack", text(&model), "-o", text(&pack)]);
    let parts = packed["ram"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap());
    assert_eq!(parts.sum::<u64>(), packed["ram_bytes"].as_u64().unwrap());
    let inspected = json(&["inspect", text(&pack)]);
    assert_eq!((&inspected["ram"], &inspected["ram_bytes"]), (&packed["ram"], &packed["ram_bytes"]));
    json(&["new", "--channels", "6,3", "--w-dim", "10", "--mapping-layers", "2", "-o", text(&model)]);
    assert_eq!(json(&["inspect", text(&model)])["z_dim"], 10);

    let like = |trained, made| ["new", "--channels", "5,4,3", "--w-dim", "7", "--like", trained, "-o", made];
    let after = folder.path().join("after.safetensors");
    assert_eq!(json(&like(text(&model), text(&after)))["channels"], serde_json::json!([5, 4, 3]));
    let wrong = error(&like(text(&pack), text(&folder.path().join("none"))));
    assert!(wrong.contains("new.ndm: is a pack"), "{wrong}");
    assert!(!folder.path().join("none").exists());
}

#[test]
fn every_backend_computes_the_golden_numbers_or_says_why_not() {
    let built = if cfg!(feature = "ndarray") { &["flex", "ndarray"][..] } else { &["flex"] };
    for backend in built {
        let health = json(&["doctor", "--backend", backend, "--iterations", "0"]);
        let checks = health["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 8, "{health}");
        assert!(checks.iter().all(|check| check["largest_error"].as_f64().unwrap() <= 1e-4), "{health}");
    }
    let timed = json(&["doctor", "--iterations", "1", "--batch", "4"]);
    assert!(timed["images_per_second"].as_f64().unwrap() > 0.0, "{timed}");
    for phase in ["generator", "path", "critics", "r1", "average"] {
        assert!(timed["milliseconds"][phase].as_f64().unwrap() > 0.0, "{timed}");
    }
    // Without the feature, without a driver, or without a GPU.
    let (code, _, said) = run(&["doctor", "--backend", "cuda", "--iterations", "0"]);
    if code != 0 {
        let expected = ["error: this program was built without cuda: cargo build", "error: no CUDA device: "];
        let last = said.lines().last().unwrap_or_default();
        assert!(code == 1 && expected.iter().any(|begin| last.starts_with(begin)), "{said}");
    }
}

/// A file of the cases that people brought.
fn case(name: &str) -> PathBuf {
    fixture("cases").join(name)
}

#[test]
fn what_was_not_read_is_said_and_named_where_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = case("foreign-critic/model.pkl");
    let (grid, pack, imported) =
        (folder.path().join("g.png"), folder.path().join("m.ndm"), folder.path().join("t.safetensors"));
    let path = text(&foreign);
    for args in [
        vec!["sample", path, "--seed", "0", "-o", text(&grid)],
        vec!["inspect", path],
        vec!["pack", path, "-o", text(&pack)],
        vec!["import", path, "-o", text(&imported)],
    ] {
        let (code, _, said) = run(&args);
        assert_eq!(code, 0, "{args:?}: {said}");
        assert!(said.contains("not read") && said.contains("Sequential"), "{args:?}: {said}");
    }
    assert_eq!(json(&["inspect", path])["discriminator"], false);
    // Where the critic is what matters, it is the reason.
    let data = case("foreign-critic");
    let run_folder = folder.path().join("run");
    let images = folder.path().join("images");
    json(&["sample", path, "--seed", "0..3", "--each", text(&images)]);
    let refused = error(&["compress", "--teacher", path, "--data", text(&images), "-o", text(&run_folder)]);
    assert!(refused.contains("discriminator was not read") && refused.contains("Sequential"), "{refused}");
    assert!(!run_folder.exists());
    let features = format!("critic={path}");
    let refused = error(&["eval", text(&images), text(&images), "--features", &features]);
    assert!(refused.contains("discriminator was not read") && refused.contains("Sequential"), "{refused}");
    assert!(error(&["sample", text(&data)]).contains("folder"));
}

#[test]
fn numpys_seeds_are_those_of_the_official_tool_for_models_and_packs() {
    let folder = tempfile::tempdir().unwrap();
    let model = case("numpy-seeds/model.pkl");
    let each = folder.path().join("each");
    json(&["sample", text(&model), "--numpy-seeds", "--seed", "0,1,85,265,297", "--each", text(&each)]);
    let mut drawn: Vec<_> = fs::read_dir(&each).unwrap().map(|entry| entry.unwrap().path()).collect();
    drawn.sort();
    for (ours, seed) in drawn.iter().zip(["0000", "0001", "0085", "0265", "0297"]) {
        let theirs = case(&format!("numpy-seeds/generate.py/seed{seed}.png"));
        let pixels = |path: &Path| image::open(path).unwrap().into_rgb8().into_raw();
        let apart = pixels(ours).iter().zip(pixels(&theirs)).map(|(a, b)| a.abs_diff(b)).max();
        assert!(apart <= Some(1), "{seed}: {apart:?} levels");
    }
    // A pack draws them from the same z, in its own fixed point.
    let (pack, z) = (folder.path().join("m.ndm"), folder.path().join("z.safetensors"));
    json(&["pack", text(&model), "-o", text(&pack)]);
    let rows: Vec<f32> = [3, 4].iter().flat_map(|&seed| nickeldime::numpy_random::latent(seed, 32)).collect();
    latents(&z, "z", &Array2::from_shape_vec((2, 32), rows).unwrap());
    let hash = |args: &[&str]| json(&[&["sample", text(&pack)], args].concat())["sha256"].clone();
    assert_eq!(hash(&["--numpy-seeds", "--seed", "3..4"]), hash(&["--latents", text(&z)]));
    assert_ne!(hash(&["--seed", "3..4"]), hash(&["--latents", text(&z)]));
    assert!(error(&["sample", text(&pack), "--numpy-seeds", "--seed", "4294967296"]).contains("4294967295"));
}

#[test]
fn latents_come_from_numpys_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let model = case("latent-files/model.pkl");
    let raw = folder.path().join("raw.safetensors");
    for (file, reference) in [("projected_w.npz", "ref.safetensors"), ("z.npy", "ref-z.safetensors")] {
        let file = case("latent-files").join(file);
        json(&["sample", text(&model), "--latents", text(&file), "--raw", text(&raw)]);
        let expected = images(&case("latent-files").join(reference));
        let worst = images(&raw).iter().zip(&expected).fold(0f32, |most, (a, b)| (a - b).abs().max(most));
        assert!(worst < 1e-4, "{worst}");
    }
    // A pack draws w for every layer too, as near to the float images as any.
    let pack = folder.path().join("m.ndm");
    json(&["pack", text(&model), "-o", text(&pack)]);
    let w = case("latent-files/projected_w.npz");
    json(&["sample", text(&pack), "--latents", text(&w), "--raw", text(&raw)]);
    let (levels, expected) = (images(&raw), images(&case("latent-files/ref.safetensors")));
    let apart = |(level, value): (&f32, &f32)| (level - (value * 127.5 + 127.5).clamp(0.0, 255.0)).abs();
    let mean = levels.iter().zip(&expected).map(apart).sum::<f32>() / levels.len() as f32;
    assert!(mean < 2.0, "{mean} levels");
    // Of another width, and for another number of layers.
    let other = case("cifar-critic/model.pkl");
    assert!(error(&["sample", text(&other), "--latents", text(&w)]).contains("layers"));
    let narrow = folder.path().join("n.safetensors");
    latents(&narrow, "z", &Array2::zeros((1, 7)));
    assert!(error(&["sample", text(&model), "--latents", text(&narrow)]).contains("7 wide"));
}

#[test]
fn a_grey_model_is_drawn_in_grey_by_everything() {
    let folder = tempfile::tempdir().unwrap();
    let model = case("grey/grey.pkl");
    let (raw, pack, imported) =
        (folder.path().join("raw.safetensors"), folder.path().join("m.ndm"), folder.path().join("g.safetensors"));
    let z = case("grey/grey.z.safetensors");
    json(&["sample", text(&model), "--latents", text(&z), "--raw", text(&raw)]);
    let (ours, expected) = (images(&raw), images(&case("grey/grey.ref.safetensors")));
    assert_eq!(ours.shape(), expected.shape());
    let worst = ours.iter().zip(&expected).fold(0f32, |most, (a, b)| (a - b).abs().max(most));
    assert!(worst < 1e-4, "{worst}");
    json(&["import", text(&model), "-o", text(&imported)]);
    let hash = |model: &Path| json(&["sample", text(model), "--seed", "0..3"])["sha256"].clone();
    assert_eq!(hash(&model), hash(&imported));
    json(&["inspect", text(&model)]);
    // A pack has one colour too, and is near the float images.
    let packed = json(&["pack", text(&model), "-o", text(&pack)]);
    assert!(packed["psnr_db"].as_f64().unwrap() > 40.0, "{packed}");
    assert_eq!(json(&["inspect", text(&pack)])["img_channels"], 1);
    let each = folder.path().join("each");
    json(&["sample", text(&pack), "--seed", "0..3", "--each", text(&each), "--raw", text(&raw)]);
    assert_eq!(images(&raw).shape(), [4, 1, 16, 16]);
    assert_eq!(image::open(each.join("0000.png")).unwrap().color(), image::ColorType::L8);
    // As a model in colour, it has three times the weights for its colours: another layout of the same arrays.
    let made = |grey: &[&str]| {
        let (model, pack) = (folder.path().join("new.safetensors"), folder.path().join("new.ndm"));
        json(&[&["new", "--channels", "6,5,4", "--w-dim", "8", "-o", text(&model)], grey].concat());
        json(&["pack", text(&model), "-o", text(&pack)])["layers"].clone()
    };
    let bytes = |layers: &serde_json::Value| -> u64 {
        let torgb = layers.as_array().unwrap().iter().filter(|l| l["name"].as_str().unwrap().ends_with("torgb"));
        torgb.map(|layer| layer["bytes"].as_u64().unwrap()).sum()
    };
    assert_eq!(3 * bytes(&made(&["--grey"])), bytes(&made(&[])));
    // Metrics take it as images whose colours are equal.
    let features = format!("critic={}", text(&case("foreign-metadata/model.pkl")));
    let distance =
        json(&["eval", text(&pack), text(&each), "--samples", "4", "--fid", "--few-samples", "--features", &features]);
    assert!(distance["fid"].as_f64().unwrap().abs() < 1e-4, "{distance}");
}

#[test]
fn a_packs_name_is_known_to_fit_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let long = "ffhq-res1024-mirror-stylegan2-noaug-finetuned-portraits-000600-kimg";
    let model = folder.path().join(format!("{long}.pkl"));
    fs::copy(case("latent-files/model.pkl"), &model).unwrap();
    let pack = folder.path().join("m.ndm");
    json(&["pack", text(&model), "-o", text(&pack)]);
    assert_eq!(json(&["inspect", text(&pack)])["name"], long[..64]);
    let (code, _, said) = run(&["pack", text(&model), "-o", text(&pack), "--name", &"n".repeat(65)]);
    assert!(code == 2 && said.contains("--name") && said.contains("64") && !said.contains("calibrating"), "{said}");
    json(&["pack", text(&model), "-o", text(&pack), "--name", &"n".repeat(64)]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::process::{Command, Stdio};
    let teacher = fixture("digits32/teacher-digits32.pkl");
    for args in [&["inspect", text(&teacher)][..], &["inspect", text(&teacher), "--json"], &["sample", "--help"]] {
        let mut command = Command::new(nickeldime_testkit::command::binary());
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), &ended.stderr[..]), (Some(0), &b""[..]), "{args:?}");
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let (model, plain) = (text(&teacher), at("plain"));
    fs::write(&plain, "").unwrap();
    // A million images would take hours.
    let endless = ["--seed", "0..999999"];
    let (jpg, bare, below, each) = (at("g.jpg"), at("g"), plain.join("g.png"), plain.join("each"));
    for output in [["-o", text(&jpg)], ["-o", text(&bare)], ["-o", text(&below)], ["--each", text(&each)]] {
        error(&[&["sample", model][..], &endless, &output].concat());
    }
    assert!(error(&["sample", model, "-o", text(&jpg)]).contains("g.png"));
    let (raw, page, pack) = (at("raw.npy"), plain.join("r.html"), plain.join("m.ndm"));
    error(&["sample", model, "--raw", text(&raw)]);
    error(&["report", "nothing", "-o", text(&page)]);
    let said = error(&["pack", model, "-o", text(&pack)]);
    assert!(said.contains("m.ndm: cannot be written") && said.contains("no folder"), "{said}");
    for command in ["train", "compress"] {
        let data = fixture("digits32/digits32.zip");
        let mut args = vec![command, "--data", text(&data), "-o", text(&each)];
        args.extend(if command == "compress" { vec!["--teacher", model] } else { vec![] });
        assert!(error(&args).contains("cannot be written"), "{command}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the file that was there");
    // Folders that are missing are made.
    let deep = at("a/b/g.png");
    json(&["sample", model, "--seeds", "0,2-3,9..10", "-o", text(&deep), "--columns", "5"]);
    assert_eq!(image::open(&deep).unwrap().width(), 5 * 64);
}

#[test]
fn files_that_were_not_read_are_counted_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for entry in fs::read_dir(case("other-formats/images")).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, images.join(from.file_name().unwrap())).unwrap();
    }
    fs::write(images.join("a.heic"), "photograph").unwrap();
    fs::write(images.join("b.avif"), "photograph").unwrap();
    let features = format!("critic={}", text(&case("foreign-metadata/model.pkl")));
    let expected = case("other-formats/expected");
    let args = ["eval", text(&images), text(&expected), "--fid", "--few-samples", "--features", &features, "--json"];
    let (code, out, said) = run(&args);
    assert!(code == 0 && said.contains("2 files of other formats (.avif, .heic) were not read"), "{said}");
    let measured: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&measured["a"]["images"], &measured["a"]["not_read"]), (&8.into(), &2.into()));
    assert_eq!((&measured["b"]["images"], &measured["b"]["not_read"]), (&8.into(), &0.into()));
    assert!(measured["fid"].as_f64().unwrap().abs() < 1e-5, "{out}");
}

/// The frames of an animation, as RGB, in order.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    use image::{AnimationDecoder, codecs};
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let frames = match path.extension().unwrap().to_str().unwrap() {
        "gif" => codecs::gif::GifDecoder::new(file).unwrap().into_frames(),
        "webp" => codecs::webp::WebPDecoder::new(file).unwrap().into_frames(),
        _ => codecs::png::PngDecoder::new(file).unwrap().apng().unwrap().into_frames(),
    };
    let rgb = |frame: image::Frame| frame.buffer().pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect();
    frames.collect_frames().unwrap().into_iter().map(rgb).collect()
}

#[test]
fn a_walk_is_a_loop_in_w_with_psi_and_noise_held() {
    let folder = tempfile::tempdir().unwrap();
    let model = case("numpy-seeds/model.pkl");
    let pack = folder.path().join("m.ndm");
    json(&["pack", text(&model), "-o", text(&pack)]);
    let pixels = |path: &Path| image::open(path).unwrap().into_rgb8().into_raw();
    for source in [&model, &pack] {
        for extension in ["gif", "webp", "apng"] {
            let (walk, each) = (folder.path().join(format!("walk.{extension}")), folder.path().join("each"));
            let args = ["sample", text(source), "--walk", "4,9,2", "--frames", "12", "--psi", "0.6"];
            let args = [&args[..], &["--noise", "random", "-o", text(&walk), "--each", text(&each)]].concat();
            assert_eq!(json(&args)["images"], 12);
            let frames = frames(&walk);
            assert_eq!(frames.len(), 12);
            // One noise for all: that of the first seed. So each frame is what `--towards` makes of it.
            let alone = folder.path().join("alone");
            json(&["sample", text(source), "--seed", "4", "--psi", "0.6", "--noise", "random", "--each", text(&alone)]);
            assert_eq!(pixels(&each.join("0000.png")), pixels(&alone.join("0000.png")));
            let between = ["--seed", "4", "--towards", "9", "--weight", "0.5", "--psi", "0.6", "--noise", "random"];
            json(&[&["sample", text(source)], &between[..], &["--each", text(&alone)]].concat());
            assert_eq!(pixels(&each.join("0002.png")), pixels(&alone.join("0000.png")));
            // No step of the loop, the last one to the first included, is a jump.
            let apart = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
            let steps: Vec<f64> = (0..12).map(|n| apart(&frames[n], &frames[(n + 1) % 12])).collect();
            let largest = steps.iter().copied().fold(0.0, f64::max);
            let across = apart(&frames[0], &frames[4]).max(apart(&frames[4], &frames[8]));
            assert!(largest > 0.0 && largest < across, "{steps:?} {across}");
            if extension != "gif" {
                for (n, frame) in frames.iter().enumerate() {
                    assert_eq!(*frame, pixels(&each.join(format!("{n:04}.png"))), "{extension}: frame {n}");
                }
            }
        }
    }
    let refused = |more: &[&str]| run(&[&["sample", text(&model)], more].concat());
    let (code, _, said) = refused(&["--walk", "1,2", "-o", "walk.mp4"]);
    assert!(code == 1 && said.contains("walk.gif"), "{said}");
    assert_eq!(refused(&["--walk", "1", "--frames", "4"]).0, 1);
    assert_eq!(refused(&["--walk", "1,2", "--frames", "0"]).0, 2);
    assert_eq!(refused(&["--frames", "4"]).0, 2);
}

#[test]
fn a_mixing_grid_has_coarse_styles_in_rows_and_fine_ones_in_columns() {
    let folder = tempfile::tempdir().unwrap();
    let model = case("numpy-seeds/model.pkl");
    let pack = folder.path().join("m.ndm");
    json(&["pack", text(&model), "-o", text(&pack)]);
    for source in [&model, &pack] {
        let (grid, each) = (folder.path().join("grid.png"), folder.path().join("each"));
        let args = ["sample", text(source), "--mixing-grid", "--rows", "1,5-6", "--cols", "8,3", "--cut", "2"];
        let made = json(&[&args[..], &["-o", text(&grid), "--each", text(&each)]].concat());
        assert_eq!(made["images"], 2 + 3 * 3);
        let grid = image::open(&grid).unwrap().into_rgb8();
        assert_eq!((grid.width(), grid.height()), (3 * 64, 4 * 64));
        assert!(grid.get_pixel(0, 0).0 == [0; 3] && grid.get_pixel(63, 63).0 == [0; 3], "the corner is empty");
        // A pixel of an image of the grid, which is enlarged four times.
        let tile = |column: u32, row: u32| -> Vec<u8> {
            let pixel = |n: u32| grid.get_pixel(64 * column + n % 16 * 4, 64 * row + n / 16 * 4).0;
            (0..256).flat_map(pixel).collect()
        };
        let alone = folder.path().join("alone");
        let drawn = |args: &[&str]| {
            json(&[&["sample", text(source), "--each", text(&alone)], args].concat());
            image::open(alone.join("0000.png")).unwrap().into_rgb8().into_raw()
        };
        for (row, coarse) in ["1", "5", "6"].into_iter().enumerate() {
            assert_eq!(tile(0, row as u32 + 1), drawn(&["--seed", coarse]));
            for (column, fine) in ["8", "3"].into_iter().enumerate() {
                assert_eq!(tile(column as u32 + 1, 0), drawn(&["--seed", fine]));
                let mixed = drawn(&["--seed", coarse, "--mix", fine, "--cut", "2"]);
                assert_eq!(tile(column as u32 + 1, row as u32 + 1), mixed);
            }
        }
        // Everything but the model may be left out.
        assert_eq!(json(&["sample", text(source), "--mixing-grid", "--seed", "0,1"])["images"], 2 + 2 * 3);
    }
}

#[test]
fn the_version_says_what_goes_with_it_and_shells_get_their_scripts() {
    let (code, said, _) = run(&["--version"]);
    assert_eq!(code, 0);
    for part in ["nickeldime 0.", "commit: ", "pack format: 4", "protocol: 3", "backends: flex"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (shell, part) in [("bash", "_nickeldime()"), ("zsh", "#compdef nickeldime"), ("fish", "complete -c nickeldime")]
    {
        let (code, script, _) = run(&["completions", shell]);
        assert!(code == 0 && script.contains(part), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, ..) = run(&["completions", "--man", text(folder.path())]);
    let page = std::fs::read_to_string(folder.path().join("nickeldime-sample.1")).unwrap();
    assert!(code == 0 && page.contains("psi"));
}
