//! Global moments are measured once, say what they are of, and are refused for anything else.

use std::{fs, path::Path};

use burn::{
    backend::Flex,
    tensor::{Tensor, TensorData},
};
use nickeldime::{
    embed::{EmbedderWeights, spec::EmbedSpec},
    nets::draws::latents,
};
use nickeldime_checkpoint::{self as checkpoint, Metadata, read_tensors, write_checkpoint, write_tensors};
use nickeldime_testkit::{
    command::{error, json, run, text},
    fixture,
};

/// A run of a few iterations on the shipped teacher.
fn compress(output: &Path, more: &[&str]) -> Vec<String> {
    let (teacher, data) = (fixture("digits32/teacher-digits32.pkl"), fixture("digits32/digits32.zip"));
    let base = ["compress", "--teacher", text(&teacher), "--data", text(&data), "-o", text(output)];
    let small = ["--batch", "4", "--kimg", "0.008", "--snapshot-kimg", "0.004", "--criterion", "magnitude"];
    [&base[..], &small, more].concat().into_iter().map(String::from).collect()
}

fn args(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn small() -> String {
    format!("small={}", fixture("digits32/embedder.safetensors").display())
}

#[test]
fn moments_are_means_over_the_teachers_images() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let measure = |name: &str, teacher: &Path, batch: &str| {
        let file = folder.path().join(name);
        let args = ["moments", "--teacher", text(teacher), "--embed", &small(), "--samples", "21", "--seed", "5"];
        let said = json(&[&args[..], &["--batch", batch, "-o", text(&file)]].concat());
        (file, said)
    };
    let (file, said) = measure("m.safetensors", &teacher, "8");
    assert_eq!((&said["samples"], &said["seed"]), (&21.into(), &5.into()));
    let embedding = &said["embeddings"][0];
    assert_eq!((&embedding["kind"], &embedding["of_the_paper"]), (&"small".into(), &false.into()));
    assert!(said["images_per_second"].as_f64().unwrap() > 0.0);
    let (tensors, metadata) = read_tensors(&file).unwrap();
    assert_eq!((&metadata["samples"][..], &metadata["seed"][..]), ("21", "5"));
    assert_eq!(metadata["teacher"], said["teacher_sha256"].as_str().unwrap());
    let name = format!("small-{}", &embedding["sha256"].as_str().unwrap()[..8]);
    assert_eq!(metadata[&format!("{name}.sha256")], embedding["sha256"].as_str().unwrap());

    // The same images in files' eyes, one at a time, in double precision.
    let weights = checkpoint::open(&teacher).unwrap().generator;
    let device = Default::default();
    let generator = nickeldime::nets::generator::Generator::<Flex>::new(&weights.arch, &device);
    let generator = nickeldime::nets::names::load(generator, &weights.tensors).unwrap();
    let network =
        EmbedderWeights::read(&small().parse::<EmbedSpec>().unwrap()).unwrap().build::<Flex>(&device).unwrap();
    let (mut first, mut second) = (vec![0f64; 704], vec![0f64; 704]);
    for seed in 5..26 {
        let ws = generator.ws(latents(&[seed], weights.arch.z_dim, &device));
        let image = generator.synthesise(ws, &nickeldime::nets::generator::Noise::Const);
        for (i, x) in network.features(image).into_data().iter::<f64>().enumerate() {
            first[i] += x / 21.0;
            second[i] += x * x / 21.0;
        }
    }
    for (part, expected) in [("first", first), ("second", second)] {
        let found = &tensors[&format!("{name}.{part}")];
        assert_eq!(found.len(), 704);
        for (a, b) in found.iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5 * b.abs().max(1.0), "{part}: {a} {b}");
        }
    }

    // The teacher is its numbers, whatever file they are in; and the same again makes the same file.
    let imported = folder.path().join("t.safetensors");
    let whole = checkpoint::open(&teacher).unwrap();
    write_checkpoint(&imported, &whole, &Metadata::new()).unwrap();
    let (same, _) = measure("same.safetensors", &imported, "8");
    assert_eq!(fs::read(&file).unwrap(), fs::read(&same).unwrap());
}

#[test]
fn a_compression_reuses_moments_and_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (own, given) = (place("own"), place("given"));
    let embed = small();
    let embed = ["--embed", &embed];
    json(&args(&compress(&own, &[&embed[..], &["--moment-samples", "32"]].concat())));
    let kept = own.join("moments.safetensors");
    let samples = |path: &Path| read_tensors(path).unwrap().1["samples"].clone();
    assert_eq!(samples(&kept), "32");

    // Those of the command are those of the run, and so is the student that learns from them.
    let file = place("m.safetensors");
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let measure = ["moments", "--teacher", text(&teacher), embed[0], embed[1], "--samples", "32", "-o", text(&file)];
    json(&measure);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&kept).unwrap());
    let (code, _, said) = run(&args(&compress(&given, &[&embed[..], &["--moments", text(&file)]].concat())));
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("global moments"), "measured again: {said}");
    assert!(said.contains("not one of the paper's") && said.contains("other than the paper's"), "{said}");
    let student = |run: &Path| fs::read(run.join("student.safetensors")).unwrap();
    assert_eq!(student(&own), student(&given));
    let record = fs::read_to_string(given.join("run.json")).unwrap();
    assert!(record.contains("m.safetensors") && record.contains("\"moment-samples\": 32"), "{record}");

    // A resumed run finds its own; without them it measures again, and damaged ones are an error.
    let resume = ["compress", "--resume", "-o", text(&given)];
    fs::remove_file(given.join("moments.safetensors")).unwrap();
    json(&resume);
    assert_eq!(fs::read(given.join("moments.safetensors")).unwrap(), fs::read(&kept).unwrap());
    fs::write(given.join("moments.safetensors"), "damaged").unwrap();
    assert!(error(&resume).contains("moments.safetensors"));
}

#[test]
fn moments_of_anything_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let file = place("m.safetensors");
    let measure = |teacher: &Path, embed: &str| {
        json(&["moments", "--teacher", text(teacher), "--embed", embed, "--samples", "4", "-o", text(&file)]);
    };
    let refused = |parts: &[&str]| {
        let output = place("run");
        let embed = small();
        let said = error(&args(&compress(&output, &["--embed", &embed, "--moments", text(&file)])));
        assert!(parts.iter().all(|part| said.contains(part)), "{said}: not all of {parts:?}");
        assert!(!output.exists(), "nothing began");
    };
    let mut other = checkpoint::open(&teacher).unwrap();
    other.generator.tensors.get_mut("synthesis.b4.const").unwrap().mapv_inplace(|x| x * 1.5);
    let other_teacher = place("other.safetensors");
    write_checkpoint(&other_teacher, &other, &Metadata::new()).unwrap();
    measure(&other_teacher, &small());
    refused(&["m.safetensors", "another teacher", "nickeldime moments"]);

    let (mut tensors, _) = read_tensors(&fixture("digits32/embedder.safetensors")).unwrap();
    tensors.get_mut("fc.bias").unwrap().mapv_inplace(|x| x + 1.0);
    let other_embedder = place("e.safetensors");
    write_tensors(&other_embedder, &tensors, &Metadata::new()).unwrap();
    measure(&teacher, &format!("small={}", text(&other_embedder)));
    refused(&["m.safetensors", "no moments in small-", "--embed"]);

    measure(&teacher, &small());
    let (whole, metadata) = read_tensors(&file).unwrap();
    let damage = |change: &dyn Fn(&mut checkpoint::Tensors, &mut Metadata)| {
        let (mut tensors, mut metadata) = (whole.clone(), metadata.clone());
        change(&mut tensors, &mut metadata);
        write_tensors(&file, &tensors, &metadata).unwrap();
    };
    let first = whole.keys().find(|name| name.ends_with(".first")).unwrap();
    damage(&|tensors, _| drop(tensors.remove(first)));
    refused(&[first, "missing"]);
    damage(&|tensors, _| drop(tensors.insert(first.clone(), ndarray::arr1(&[1.0]).into_dyn())));
    refused(&[first, "1 numbers for 704 features"]);
    damage(&|tensors, _| tensors.get_mut(first).unwrap().fill(f32::INFINITY));
    refused(&[first, "not finite"]);
    damage(&|_, metadata| drop(metadata.insert("samples".into(), "-1".into())));
    refused(&["samples", "damaged"]);
    damage(&|_, metadata| drop(metadata.remove("format")));
    refused(&["not a file of global moments"]);
    fs::write(&file, "text").unwrap();
    refused(&["m.safetensors"]);
}

#[test]
fn a_paper_shaped_embedding_is_measured_and_compared() {
    // ResNet-50 with hashed weights in a .pth, as DINO ships it: through the reader, the network and the command.
    use nickeldime_testkit::{hashed, pickle_writer::ordered_dict, torch_writer};
    let folder = tempfile::tempdir().unwrap();
    let weights = hashed::weights(&nickeldime::embed::resnet50::dino().tensors);
    let (entries, storages) = torch_writer::state_dict(&weights, false);
    let file = folder.path().join("dino.pth");
    fs::write(&file, torch_writer::zip(&ordered_dict(entries), &storages)).unwrap();
    let teacher = fixture("digits32/teacher-digits32.pkl");
    let output = folder.path().join("m.safetensors");
    let embed = format!("dino={}", text(&file));
    let args = ["moments", "--teacher", text(&teacher), "--embed", &embed, "--samples", "3", "-o", text(&output)];
    let (code, _, said) = run(&args);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("one of the paper's") && !said.contains("not one of"), "{said}");
    let embedding = &json(&args)["embeddings"][0];
    assert_eq!((&embedding["features"], &embedding["of_the_paper"]), (&2048.into(), &true.into()));

    let images = fixture("digits32/digits32.zip");
    let eval = ["eval", text(&teacher), text(&images), "--kid", "--samples", "4", "--features"];
    let said = error(&[&eval[..], &[&format!("inception={}", text(&file))]].concat());
    assert!(said.contains("Mixed_7c.branch_pool.conv.weight: missing") && said.contains("pytorch-fid"), "{said}");
    let network =
        EmbedderWeights::read(&embed.parse::<EmbedSpec>().unwrap()).unwrap().build::<Flex>(&Default::default());
    let image = TensorData::new(hashed::input(1, &[1, 3, 64, 64]).into_iter().collect::<Vec<f32>>(), [1, 3, 64, 64]);
    let features = network.unwrap().features(Tensor::from_data(image, &Default::default()));
    assert_eq!(features.dims(), [1, 2048]);
}
