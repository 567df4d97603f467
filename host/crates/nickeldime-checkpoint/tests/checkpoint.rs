//! Checkpoints are read as they are, or refused with a reason.

use std::fs;
use std::path::Path;

use ndarray::{Array1, ArrayD};
use nickeldime_checkpoint::model::arch::{CriticArchitecture, DeviationGroup, DiscriminatorArch, GREY, GeneratorArch};
use nickeldime_checkpoint::model::initial;
use nickeldime_checkpoint::{
    self as checkpoint, Checkpoint, CheckpointError, GeneratorWeights, Metadata, Tensors, read_tensors,
    write_checkpoint, write_tensors,
};
use nickeldime_testkit::fixture;
use nickeldime_testkit::official::{Official, other, small, storage, tensor, view};
use nickeldime_testkit::pickle_writer::{Py, call, dict, pickle, text};

fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    checkpoint::from_bytes(Path::new("file.pkl"), bytes)
}

/// The refusal of a file, which must be one line that begins with the file's name.
fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).expect_err("refused").to_string();
    assert!(error.starts_with("file.pkl: "), "{error}");
    assert!(!error.chars().any(char::is_control), "{error}");
    error
}

#[track_caller]
fn assert_refused(official: &Official, parts: &[&str]) {
    for protocol in 2..=4 {
        let error = refusal(&official.pickle(protocol));
        for part in parts {
            assert!(error.contains(part), "{error}: no {part}");
        }
    }
}

#[test]
fn both_official_files_equal_their_safetensors() {
    let expected = checkpoint::open(&fixture("digits32/teacher-digits32.safetensors")).unwrap();
    let arch = &expected.generator.arch;
    assert_eq!(*arch, GeneratorArch::preset("digits32").unwrap());
    assert_eq!(expected.discriminator.as_ref().unwrap().arch.mbstd_group, DeviationGroup::Samples(4));
    for name in ["teacher-digits32.pkl", "teacher-digits32-proto3.pkl"] {
        let found = checkpoint::open(&fixture("digits32").join(name)).unwrap();
        assert!(found == expected, "{name}");
    }
    let (tensors, notes) = read_tensors(&fixture("digits32/teacher-digits32.safetensors")).unwrap();
    assert_eq!(notes["nimg"], "178256");
    for (name, array) in &expected.generator.tensors {
        assert_eq!(array, tensors[&format!("G_ema.{name}")]);
    }
}

#[test]
fn every_shape_is_read_in_every_protocol() {
    let clamped = GeneratorArch { conv_clamp: Some(0.75), ..small() };
    let tall = GeneratorArch { channels: vec![5, 4, 4, 3, 3, 2, 2, 1, 1], ..small() };
    let grey = GeneratorArch { img_channels: GREY, ..other() };
    for arch in [small(), other(), clamped, tall, grey] {
        for protocol in 2..=4 {
            let official = Official::new(&arch);
            let found = read(&official.pickle(protocol)).unwrap();
            assert!(found == official.checkpoint, "{arch:?} {protocol}");
        }
    }
}

#[test]
fn a_checkpoint_without_a_discriminator_is_a_generator() {
    let mut official = Official::new(&small());
    official.checkpoint.discriminator = None;
    assert!(read(&official.pickle(4)).unwrap() == official.checkpoint);
}

#[test]
fn a_critic_of_every_architecture_and_group_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    for arch in [small(), other()] {
        for architecture in [CriticArchitecture::Orig, CriticArchitecture::Skip, CriticArchitecture::Resnet] {
            for mbstd_group in [DeviationGroup::Absent, DeviationGroup::Batch, DeviationGroup::Samples(32)] {
                let critic = DiscriminatorArch { architecture, mbstd_group, ..DiscriminatorArch::beside(&arch, 4) };
                let mut official = Official::new(&arch);
                official.checkpoint.discriminator = Some(initial::discriminator(&critic, 5));
                for protocol in 2..=4 {
                    assert!(read(&official.pickle(protocol)).unwrap() == official.checkpoint, "{critic:?}");
                }
                write_checkpoint(&path, &official.checkpoint, &Metadata::new()).unwrap();
                assert!(checkpoint::open(&path).unwrap() == official.checkpoint, "{critic:?}");
            }
        }
    }
}

#[test]
fn a_critic_that_cannot_be_read_is_left_out_and_named() {
    let left_out = |official: &Official, said: &str| {
        for protocol in 2..=4 {
            let found = read(&official.pickle(protocol)).unwrap();
            assert!(found.generator == official.checkpoint.generator);
            let reason = found.critic().unwrap_err().to_string();
            assert!(reason.contains(said), "{reason}: no {said}");
            let [remark] = &found.remarks[..] else { panic!("{:?}", found.remarks) };
            assert!(remark.to_string().contains("not read"), "{remark}");
        }
    };
    let with = |module: &str, name: &str, value: Py| Official::new(&small()).attribute(module, name, value);
    for (module, name, value, said) in [
        ("D", "c_dim", Py::Int(10), "10: conditional"),
        ("D.b4", "cmap_dim", Py::Int(512), "512: conditional"),
        ("D.b8", "architecture", text("skip"), "skip: only resnet"),
        ("D.b4", "architecture", text("fancy"), "fancy: only resnet"),
        ("D.b4.mbstd", "num_channels", Py::Int(2), "2: only 1"),
        ("D.b4.mbstd", "group_size", Py::Float(1.5), "1.5: expected a number"),
        ("D.b8.conv1", "down", Py::Int(1), "1: only 2"),
    ] {
        left_out(&with(module, name, value), &format!("{module}.{name}: {said}"));
    }
    let filter = "D.b8.conv1.resample_filter";
    let flat = tensor(&[4, 4], &[1.0 / 16.0; 16]);
    left_out(&Official::new(&small()).tensor(filter, flat), "only that one is supported");
    let broken = tensor(&[1], &[f32::NAN]);
    left_out(&Official::new(&small()).tensor("D.b4.out.bias", broken), "D.b4.out.bias: holds NaN");
    let mut foreign = Official::new(&small());
    foreign.classes.insert("D.b8".into(), "ProjectedBlock".into());
    left_out(&foreign, "D.b8: a module of class ProjectedBlock");
}

#[test]
fn what_nobody_asks_for_may_be_anything() {
    // A path, a date, an enumeration's member, a bound method, a class, and what a function made by a function returns.
    let made = |module, name, arguments| call(module, name, arguments);
    let partial = made("functools", "partial", vec![Py::Global("numpy", "zeros")]);
    let oddities = [
        made("pathlib", "PosixPath", vec![text("/"), text("data")]),
        made("datetime", "datetime", vec![Py::Bytes(vec![7, 230, 11, 30, 0, 0, 0, 0, 0, 0])]),
        made("training.modes", "Mode", vec![Py::Int(2)]),
        made("builtins", "getattr", vec![Py::Global("training.loop", "Loop"), text("step")]),
        Py::Global("torch.nn.modules.activation", "LeakyReLU"),
        Py::Reduce(Box::new(partial), vec![Py::Int(3)]),
        Py::Build(
            Box::new(made("torch.nn.modules.container", "Sequential", vec![])),
            Box::new(dict([("_modules", Py::Dict(vec![(Py::Int(0), Py::None)]))])),
        ),
        Py::Filled(Box::new(made("collections", "defaultdict", vec![Py::Global("builtins", "list")])), vec![]),
        Py::Dict(vec![(Py::Int(1), Py::Float(0.5)), (Py::Tuple(vec![]), Py::None)]),
    ];
    for value in oddities {
        for module in ["G_ema", "G_ema.mapping", "G_ema.synthesis.b8.conv1", "D.b4"] {
            let odd = Official::new(&small()).attribute(module, "training", value.clone());
            for protocol in 2..=4 {
                assert!(read(&odd.pickle(protocol)).unwrap() == odd.checkpoint, "{module} {value:?}");
            }
        }
        let Py::Dict(mut entries) = Official::new(&small()).object() else { unreachable!("a file is a dict") };
        entries.insert(0, (text("training_set_kwargs"), value.clone()));
        entries.push((value.clone(), text("a key that is no text")));
        assert!(read(&pickle(&Py::Dict(entries), 4)).unwrap() == Official::new(&small()).checkpoint);
        // In place of the critic, it is not one.
        let Py::Dict(mut entries) = Official::new(&small()).object() else { unreachable!("a file is a dict") };
        entries.retain(|(key, _)| *key != text("D"));
        entries.push((text("D"), value));
        let found = read(&pickle(&Py::Dict(entries), 3)).unwrap();
        assert!(found.critic().is_err() && found.remarks.len() == 1);
    }
}

#[test]
fn a_generator_of_stylegan3_is_called_one() {
    let mut official = Official::new(&small());
    let state = dict([("_modules", dict::<&str>([]))]);
    let meta = dict([("class_name", text("SynthesisInput")), ("state", state)]);
    let input = call("torch_utils.persistence", "_reconstruct_persistent_obj", vec![meta]);
    official.children.push(("G_ema.synthesis".into(), "input".into(), input));
    assert_refused(&official, &["G_ema: a StyleGAN3 network"]);
}

#[test]
fn other_number_formats_and_strides_are_the_same_numbers() {
    let official = Official::new(&small());
    let weights = &official.checkpoint.generator.tensors;
    let name = "mapping.fc1.weight";
    let matrix = &weights[name];
    let (rows, columns) = (matrix.shape()[0], matrix.shape()[1]);

    // Column by column, three numbers into a longer storage.
    let mut data = vec![9.0f32; 3];
    data.extend(matrix.t().iter());
    data.push(9.0);
    let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
    let transposed = view(storage("FloatStorage", data.len(), bytes), 3, &[rows, columns], &[1, rows]);
    let bytes = matrix.iter().flat_map(|&x| f64::from(x).to_le_bytes());
    let double = storage("DoubleStorage", matrix.len(), bytes.collect());
    let double = view(double, 0, &[rows, columns], &[columns, 1]);
    for (what, value) in [("transposed", transposed), ("double", double)] {
        let same = official.clone().tensor(&format!("G_ema.{name}"), value);
        assert!(read(&same.pickle(3)).unwrap() == official.checkpoint, "{what}");
    }

    let halves = [0x3c00u16, 0xc000, 0x3800, 0x0001];
    let bytes = halves.iter().flat_map(|x| x.to_le_bytes()).collect();
    let half = view(storage("HalfStorage", 4, bytes), 0, &[4], &[1]);
    let other = official.clone().tensor("G_ema.mapping.fc1.bias", half);
    let found = read(&other.pickle(4)).unwrap();
    let bias = &found.generator.tensors["mapping.fc1.bias"];
    assert_eq!(bias.as_slice().unwrap(), [1.0, -2.0, 0.5, 5.960_464_5e-8]);
}

#[test]
fn what_is_not_supported_is_refused_by_its_name() {
    let with = |module: &str, name: &str, value: Py| Official::new(&small()).attribute(module, name, value);
    for (module, name, value, said) in [
        ("G_ema", "c_dim", Py::Int(10), "10: conditional"),
        ("G_ema.mapping", "c_dim", Py::Int(1), "1: conditional"),
        ("G_ema", "img_channels", Py::Int(2), "2: only RGB"),
        ("G_ema", "img_channels", Py::Int(1), "1: only 3"),
        ("G_ema.synthesis.b8", "img_channels", Py::Int(1), "1: only 3"),
        ("G_ema.synthesis.b8", "architecture", text("resnet"), "resnet: only skip"),
        ("G_ema.synthesis.b4", "architecture", text("orig"), "orig: only skip"),
        ("G_ema.synthesis.b8.conv0", "activation", text("relu"), "relu: only lrelu"),
        ("G_ema.mapping.fc0", "activation", text("swish"), "swish: only lrelu"),
        ("G_ema.mapping.fc0", "bias_gain", Py::Int(1), "1: only 0.01"),
        ("G_ema.mapping.fc1", "weight_gain", Py::Float(0.5), "0.5: only 0.005"),
        ("G_ema.synthesis.b8.conv1", "use_noise", Py::Bool(false), "false: only true"),
        ("G_ema.synthesis.b8.conv1", "up", Py::Int(2), "2: only 1"),
        ("G_ema.synthesis.b8.conv1", "conv_clamp", Py::Int(2), "2: not the same"),
        ("G_ema.synthesis.b8", "resolution", Py::Int(16), "16: only 8"),
        ("G_ema.mapping", "num_layers", Py::Int(1 << 30), "1073741824: only 2"),
        ("G_ema.mapping", "z_dim", Py::Int(1 << 40), "1099511627776: only 3"),
        ("G_ema.mapping", "z_dim", text("3"), "3: expected a number"),
    ] {
        let place = format!("{module}.{name}: {said}");
        assert_refused(&with(module, name, value), &[&place]);
    }
    let mut other_class = Official::new(&small());
    other_class.classes.insert("G_ema.synthesis.b4.conv1".into(), "ModulatedConv".into());
    assert_refused(&other_class, &["G_ema.synthesis.b4.conv1: a module of class ModulatedConv"]);
}

#[test]
fn a_wrong_tensor_is_refused_by_its_name() {
    let with = |name: &str, value| Official::new(&small()).tensor(name, value);
    let bias = "G_ema.synthesis.b4.conv1.bias";
    let floats = |n: usize| storage("FloatStorage", n, vec![0; 4 * n]);
    for (value, said) in [
        (Py::None, "missing"),
        (tensor(&[3], &[0.0; 3]), "shape [3], expected [2]"),
        (tensor(&[2], &[0.0, f32::NAN]), "NaN"),
        (tensor(&[2], &[0.0, f32::INFINITY]), "infinity"),
        (text("tensor"), "not a PyTorch tensor"),
        (view(floats(2), 1, &[2], &[1]), "beyond its storage of 2 numbers"),
        (view(floats(2), 0, &[2], &[2]), "beyond its storage of 2 numbers"),
        (view(floats(2), usize::MAX >> 1, &[2], &[usize::MAX >> 1]), "beyond its storage"),
        (view(storage("IntStorage", 2, vec![0; 8]), 0, &[2], &[1]), "IntStorage: only float"),
        (view(storage("FloatStorage", 3, vec![0; 8]), 0, &[2], &[1]), "storage of 3 numbers"),
        (view(storage("FloatStorage", 1 << 62, vec![0; 8]), 0, &[2], &[1]), "damaged"),
        (view(Py::Bytes(vec![0; 8]), 0, &[2], &[1]), "not in the file as bytes"),
    ] {
        assert_refused(&with(bias, value), &[bias, said]);
    }
    let filter = "G_ema.synthesis.b8.conv1.resample_filter";
    let flat = with(filter, tensor(&[4, 4], &[1.0 / 16.0; 16]));
    assert_refused(&flat, &[filter, "only that one is supported"]);
    let rgb = "G_ema.synthesis.b4.torgb.weight";
    assert_refused(&with(rgb, tensor(&[2, 2, 1, 1], &[0.0; 4])), &[rgb, "img_channels = 2"]);
    assert_refused(&with(rgb, tensor(&[1, 2, 1, 1], &[0.0; 2])), &["shape [3]", "expected [1]"]);

    let mut more = Official::new(&small());
    let scale = ("G_ema.synthesis.b4.conv1", "scale", tensor(&[1], &[1.0]));
    more.more.push((scale.0.into(), scale.1.into(), scale.2));
    assert_refused(&more, &["G_ema.synthesis.b4.conv1.scale", "unsupported architecture"]);
    let mut labels = Official::new(&small());
    let embed = tensor(&[4, 10], &[0.0; 40]);
    labels.more.push(("G_ema.mapping".into(), "embed.weight".into(), embed));
    assert_refused(&labels, &["conditional network"]);
}

#[test]
fn a_tensor_cannot_be_larger_than_its_file() {
    // A million by a million zeros out of one number, and many tensors out of one storage.
    let one = || storage("FloatStorage", 1, vec![0; 4]);
    let name = "G_ema.mapping.fc0.weight";
    let huge = view(one(), 0, &[1 << 20, 1 << 20], &[0, 0]);
    assert!(refusal(&Official::new(&small()).tensor(name, huge).pickle(4)).contains("mapping"));
    let mut wide = small();
    wide.z_dim = 1 << 19;
    let official = Official::new(&wide).tensor(name, view(one(), 0, &[4, 1 << 19], &[0, 0]));
    let error = refusal(&official.pickle(4));
    assert!(error.contains("more numbers than the file has"), "{error}");
}

#[test]
fn a_function_in_a_file_is_refused_and_nothing_is_run() {
    let official = Official::new(&small());
    let run = |module, name| call(module, name, vec![text("touch /tmp/nickeldime-was-here")]);
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("importlib.util", "spec_from_file_location"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch_utils.persistence", "import_hook"),
    ] {
        for place in ["G_ema.mapping", "D.b4"] {
            let hostile = official.clone().attribute(place, "training", run(module, name));
            let whole = format!("refused: the file asks for {module}.{name}");
            assert_refused(&hostile, &["file.pkl: byte ", &whole, "nothing was run"]);
        }
    }
    // The file is nothing else; by hand, in the protocol that people write by hand; inside a storage.
    assert!(refusal(&pickle(&run("os", "system"), 3)).contains("os.system"));
    let error = refusal(b"cos\nsystem\n(S'touch /tmp/nickeldime-was-here'\ntR.");
    assert!(error.contains("byte 0") && error.contains("os.system"), "{error}");
    let storage = Py::Bytes(pickle(&run("os", "system"), 2));
    let storage = call("torch.storage", "_load_from_bytes", vec![storage]);
    let inside = official.tensor("G_ema.mapping.w_avg", view(storage, 0, &[4], &[1]));
    assert_refused(&inside, &["file.pkl: byte ", "os.system"]);
    assert!(!Path::new("/tmp/nickeldime-was-here").exists());
}

#[test]
fn every_truncation_of_a_pickle_is_an_error_with_a_place() {
    for (protocol, step) in [(2, 17), (3, 17), (4, 1)] {
        let whole = Official::new(&small()).pickle(protocol);
        for length in (0..whole.len()).step_by(step) {
            let error = refusal(&whole[..length]);
            assert!(length == 0 || error.contains("byte "), "{length}: {error}");
        }
    }
    for name in ["teacher-digits32.pkl", "teacher-digits32-proto3.pkl"] {
        let whole = fs::read(fixture("digits32").join(name)).unwrap();
        for length in (1..whole.len()).rev().step_by(9973).chain(whole.len() - 50..whole.len()) {
            assert!(refusal(&whole[..length]).contains("byte "), "{name} {length}");
        }
    }
}

#[test]
fn a_file_of_another_kind_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let error = checkpoint::open(path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        error
    };
    assert!(said(&folder.path().join("none.pkl")).contains("No such file"));
    assert!(said(folder.path()).contains("a folder"));
    let write = |bytes: &[u8]| {
        let path = folder.path().join("file.pkl");
        fs::write(&path, bytes).unwrap();
        path
    };
    assert!(said(&write(b"")).ends_with("empty"));
    assert!(said(&write(b"PK\x03\x04 and so on")).contains("a zip that cannot be read"));
    let legacy = match storage("FloatStorage", 0, vec![]) {
        Py::Reduce(_, mut arguments) => arguments.remove(0),
        _ => unreachable!("a storage is a call"),
    };
    let Py::Bytes(legacy) = legacy else { unreachable!("of bytes") };
    assert!(said(&write(&legacy)).contains("no tensors by name"));
    for page in ["<!DOCTYPE html>\n<html>", "\u{feff}\n <html lang=en>", "<?xml version=\"1.0\"?>"] {
        assert!(said(&write(page.as_bytes())).contains("an HTML page"), "{page}");
    }
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 381673535\n";
    assert!(said(&write(pointer)).contains("a Git LFS pointer"));
    assert!(said(&write(b"\x1f\x8b\x08")).contains("gzip"));
    assert!(said(&write(b"\x89PNG\r\n\x1a\n, an image")).contains("begins with \\x89PNG"));
    assert!(said(&write(&pickle(&dict([("G", Py::None)]), 4))).contains("no G_ema"));
    assert!(said(&write(&pickle(&Py::List(vec![]), 4))).contains("not a dict"));
    assert!(said(&write(&[0x80, 1, b'.'])).contains("protocol 1"));
    let tensorflow = call("dnnlib.tflib.network", "Network", vec![]);
    assert!(said(&write(&pickle(&tensorflow, 3))).contains("a TensorFlow checkpoint"));
    let embedder = fixture("digits32/embedder.safetensors");
    assert!(said(&embedder).contains("without a StyleGAN2 generator"));
    assert!(said(&fixture("digits32/digits32.zip")).contains("a zip without data.pkl"));
    assert!(said(Path::new("/dev/zero")).contains("not a regular file"));
}

#[test]
fn a_written_checkpoint_is_the_same_when_read_and_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let notes = Metadata::from([("ratio".to_string(), "0.7".to_string())]);
    let mut pruned = other();
    pruned.channels = vec![4, 3, 3, 2, 1];
    for arch in [small(), other()] {
        for critic in [true, false] {
            let mut checkpoint = Official::new(&arch).checkpoint;
            if let Some(critic) = &mut checkpoint.discriminator {
                critic.arch.mbstd_group = DeviationGroup::Samples(8);
                critic.arch.conv_clamp = None;
            }
            if !critic {
                checkpoint.discriminator = None;
            }
            write_checkpoint(&path, &checkpoint, &notes).unwrap();
            assert!(checkpoint::open(&path).unwrap() == checkpoint);
            let first = fs::read(&path).unwrap();
            write_checkpoint(&path, &checkpoint, &notes).unwrap();
            assert!(fs::read(&path).unwrap() == first);
            assert_eq!(read_tensors(&path).unwrap().1["ratio"], "0.7");
        }
    }
    // A pruned student beside the dense discriminator.
    let student = Checkpoint {
        generator: Official::new(&pruned).checkpoint.generator,
        discriminator: Official::new(&other()).checkpoint.discriminator,
        remarks: Vec::new(),
    };
    write_checkpoint(&path, &student, &Metadata::new()).unwrap();
    assert!(checkpoint::open(&path).unwrap() == student);
}

#[test]
fn a_written_checkpoint_has_the_official_names() {
    let official = fixture("digits32/teacher-digits32.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let checkpoint = checkpoint::open(&official).unwrap();
    write_checkpoint(&path, &checkpoint, &Metadata::new()).unwrap();
    let (mut expected, _) = read_tensors(&official).unwrap();
    expected.retain(|name, _| !name.starts_with("G."));
    assert!(read_tensors(&path).unwrap().0 == expected);
    // As the reference implementation of the format sees it.
    let bytes = fs::read(&path).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.len(), expected.len());
}

#[test]
fn a_generator_is_read_without_its_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let generator = Official::new(&small()).checkpoint.generator;
    for prefix in ["", "G.", "G_ema."] {
        let own = generator.tensors.iter();
        let tensors: Tensors = own.map(|(n, a)| (format!("{prefix}{n}"), a.clone())).collect();
        write_tensors(&path, &tensors, &Metadata::new()).unwrap();
        assert!(checkpoint::open(&path).unwrap().generator == generator, "{prefix}");
    }
    let found = GeneratorWeights::from_tensors(generator.tensors.clone(), None).unwrap();
    assert!(found == generator);
}

#[test]
fn metadata_that_contradicts_the_tensors_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_checkpoint(&path, &Official::new(&small()).checkpoint, &Metadata::new()).unwrap();
    let (tensors, right) = read_tensors(&path).unwrap();
    for (key, value) in [
        ("resolution", "16"),
        ("z_dim", "99999999999999999999999"),
        ("mapping_layers", "4294967296"),
        ("channels", "4:2,8:4"),
        ("conv_clamp", "-1"),
        ("conv_clamp", "NaN"),
        ("mbstd_group_size", "0"),
        ("mbstd_group_size", "many"),
    ] {
        let mut wrong = right.clone();
        wrong.insert(key.into(), value.into());
        write_tensors(&path, &tensors, &wrong).unwrap();
        let error = checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_hostile_tensor_file_is_refused() {
    let file = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let mut overflow = String::from("{");
    for i in 0..9u64 {
        let size = (1u64 << 61) - 1;
        let (start, end) = (i * size, (i + 1).wrapping_mul(size));
        let end = if i == 8 { u64::MAX } else { end };
        let comma = if i == 0 { "" } else { "," };
        overflow += &format!(
            r#"{comma}"synthesis.t{i}":{{"dtype":"U8","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            end.wrapping_sub(start)
        );
    }
    overflow.push('}');
    let one = |shape: &str, offsets: &str| {
        format!(r#"{{"synthesis.a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    for (what, bytes) in [
        ("sums overflow", file(&overflow, 7)),
        ("shape overflows", file(&one("[4294967296,4294967296]", "[0,0]"), 0)),
        ("beyond the data", file(&one("[2]", "[0,8]"), 4)),
        ("a gap", file(&one("[1]", "[4,8]"), 8)),
        ("left over", file(&one("[1]", "[0,4]"), 8)),
        ("backwards", file(&one("[0]", "[4,0]"), 4)),
        ("many axes", file(&one("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4)),
        ("not JSON", file("{]", 0)),
        ("nothing", file("{}", 0)),
        ("deep", file(&deep, 0)),
        ("header beyond the file", vec![255, 255, 0, 0, 0, 0, 0, 0, b'{']),
    ] {
        assert!(read(&bytes).is_err(), "{what}");
        refusal(&bytes);
    }
}

#[test]
fn every_truncation_of_a_tensor_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_checkpoint(&path, &Official::new(&small()).checkpoint, &Metadata::new()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        refusal(&whole[..length]);
    }
}

#[test]
fn tensors_keep_their_names_shapes_and_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let column = ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).reversed_axes();
    let tensors = Tensors::from([
        ("scalar".into(), ArrayD::from_elem(vec![], 0.1)),
        ("odd \"name\"".into(), Array1::from(vec![f32::MIN, -0.0]).into_dyn()),
        ("none".into(), ArrayD::zeros(vec![0, 3])),
        ("columns".into(), column.into_dyn()),
    ]);
    write_tensors(&path, &tensors, &Metadata::new()).unwrap();
    assert_eq!(read_tensors(&path).unwrap(), (tensors, Metadata::new()));
}
