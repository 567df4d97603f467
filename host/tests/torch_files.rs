//! PyTorch's weights files are read in every form, or refused with a reason.

use std::{fs, path::Path};

use burn::{
    backend::Flex,
    tensor::{Tensor, TensorData},
};
use nickeldime::embed::{EmbedderWeights, clip_rn50, inception, resnet50};
use nickeldime_checkpoint::{
    self as checkpoint, CheckpointError, Metadata, TensorSelection, Tensors, model::arch::Shapes, read_tensors,
    write_tensors,
};
use nickeldime_testkit::{
    fixture, hashed,
    pickle_writer::{Py, call, dict, ordered_dict, text},
    torch_writer::{Storages, legacy, module, reference, shapes_alone, state_dict, view, zip, zip_of},
};

fn all(shapes: &Shapes) -> TensorSelection {
    shapes.keys().map(|name| (name.clone(), name.clone())).collect()
}

fn read(bytes: &[u8]) -> Result<Tensors, CheckpointError> {
    checkpoint::read_chosen(Path::new("file.pth"), bytes, |shapes| Ok(all(shapes)))
}

fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).expect_err("refused").to_string();
    assert!(error.starts_with("file.pth: "), "{error}");
    assert!(!error.chars().any(char::is_control), "{error}");
    error
}

/// A few tensors of different shapes.
fn few() -> Tensors {
    [("a.weight", &[2, 3][..]), ("a.bias", &[2]), ("b.c.scale", &[])]
        .map(|(name, shape)| (name.to_string(), hashed::input(shape.len() as u32, shape)))
        .into()
}

/// The features of the shipped images' embedder, from a file.
fn features(kind: &str, path: &Path) -> Result<Vec<f32>, CheckpointError> {
    let spec = format!("{kind}={}", path.display()).parse().unwrap();
    let weights = EmbedderWeights::read(&spec)?;
    assert_eq!(weights.sha256.len(), 64);
    let network = weights.build::<Flex>(&Default::default()).unwrap();
    let image = hashed::input(5, &[1, 3, 32, 32]).into_iter().collect();
    let image = Tensor::from_data(TensorData::new(image, [1, 3, 32, 32]), &Default::default());
    Ok(network.features(image).into_data().iter().collect())
}

#[test]
fn every_form_gives_the_same_numbers() {
    let expected = few();
    let with_counter = |mut tensors: Tensors| {
        let counter = tensors.remove("bn.num_batches_tracked").expect("the counter is a tensor too");
        assert_eq!(counter.iter().copied().collect::<Vec<_>>(), [7.0]);
        tensors
    };
    let (entries, storages) = state_dict(&expected, false);
    let state = ordered_dict(entries.clone());
    assert_eq!(with_counter(read(&zip(&state, &storages)).unwrap()), expected);
    assert_eq!(with_counter(read(&zip(&module(entries), &storages)).unwrap()), expected);
    let (entries, storages) = state_dict(&expected, true);
    assert_eq!(with_counter(read(&legacy(&ordered_dict(entries), &storages)).unwrap()), expected);
    // A training's checkpoint: dicts in dicts, and things without names.
    let (entries, storages) = state_dict(&expected, false);
    let optimiser =
        dict([("state", Py::Dict(vec![(Py::Int(0), Py::None)])), ("groups", Py::List(vec![Py::Float(0.1)]))]);
    let nested = dict([("epoch", Py::Int(3)), ("model", ordered_dict(entries)), ("optimizer", optimiser)]);
    let found = read(&zip(&nested, &storages)).unwrap();
    assert_eq!(found["model.a.weight"], expected["a.weight"]);
}

#[test]
fn half_and_brain_floats_are_numbers_too() {
    let object = |format| dict([("x", view(reference(format, 0, 2, false), &[2], &[1]))]);
    for (format, one, two) in [("HalfStorage", 0x3c00u16, 0xc000u16), ("BFloat16Storage", 0x3f80, 0xc000)] {
        let bytes = [one.to_le_bytes(), two.to_le_bytes()].concat();
        let found = read(&zip(&object(format), &vec![(format, bytes)])).unwrap();
        assert_eq!(found["x"].iter().copied().collect::<Vec<_>>(), [1.0, -2.0]);
    }
}

#[test]
fn an_embedder_is_the_same_from_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = fixture("digits32/embedder.safetensors");
    let expected = features("small", &shipped).unwrap();
    let (tensors, _) = read_tensors(&shipped).unwrap();
    let put = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (entries, storages) = state_dict(&tensors, false);
    let below = |prefix: &str| entries.iter().map(|(name, value)| (format!("{prefix}{name}"), value.clone())).collect();
    let state = put("state.pth", zip(&ordered_dict(entries.clone()), &storages));
    let script = put("script.pt", zip(&module(below("visual.")), &storages));
    let parallel: Vec<_> = below("module.backbone.");
    let both = dict([("student", ordered_dict(entries.clone())), ("teacher", ordered_dict(parallel))]);
    let both = put("both.pth", zip(&both, &storages));
    let (entries, storages) = state_dict(&tensors, true);
    let legacy = put("legacy.pth", legacy(&ordered_dict(entries), &storages));
    for file in [state, script, both, legacy] {
        assert_eq!(features("small", &file).unwrap(), expected, "{}", file.display());
    }
}

#[test]
fn a_whole_archive_of_a_model_is_read() {
    // As dense as OpenAI's: hundreds of tensors in modules in modules, and the numbers elsewhere.
    let mut shapes: Shapes =
        clip_rn50::layout().tensors.into_iter().map(|(name, shape)| (format!("visual.{name}"), shape)).collect();
    for block in 0..24 {
        for part in ["attn.in_proj", "attn.out_proj", "ln_1", "mlp.c_fc", "mlp.c_proj", "ln_2"] {
            shapes.insert(format!("transformer.resblocks.{block}.{part}.weight"), vec![512, 512]);
            shapes.insert(format!("transformer.resblocks.{block}.{part}.bias"), vec![512]);
        }
    }
    let (entries, _) = shapes_alone(&shapes);
    let storages = vec![("FloatStorage", 1.5f32.to_le_bytes().to_vec()), ("FloatStorage", vec![0; 1 << 20])];
    let file = zip(&module(entries), &storages);
    let layout = clip_rn50::layout();
    let found = checkpoint::read_chosen(Path::new("file.pt"), &file, |shapes| {
        let mut choice = layout.choose(shapes)?;
        choice.retain(|own, _| own == "attnpool.c_proj.bias");
        Ok(choice)
    });
    let found = found.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found["attnpool.c_proj.bias"].iter().all(|&x| x == 1.5));
}

/// The refusal of a file of these tensors as an embedder of a kind.
fn refused_as(kind: &str, shapes: &Shapes) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    let (entries, storages) = shapes_alone(shapes);
    fs::write(&path, zip(&ordered_dict(entries), &storages)).unwrap();
    let error = features(kind, &path).expect_err("refused").to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    error
}

#[test]
fn another_network_is_refused_by_name() {
    let has = |error: String, parts: &[&str]| {
        assert!(parts.iter().all(|part| error.contains(part)), "{error}: not all of {parts:?}");
    };
    let resnet = resnet50::torchvision().tensors;
    let with = |shapes: &Shapes, name: &str, shape: &[usize]| {
        let mut shapes = shapes.clone();
        shapes.insert(name.into(), shape.to_vec());
        shapes
    };
    let clip = clip_rn50::layout().tensors;
    has(refused_as("dino", &clip), &["bn1.bias: shape [32]", "ResNet-50", "dino_resnet50_pretrain.pth"]);
    has(refused_as("clip", &resnet), &["attnpool.c_proj.weight: missing", "RN50.pt"]);
    has(refused_as("small", &resnet), &["conv1.bias: missing", "small embedder"]);
    has(refused_as("dino", &with(&resnet, "fc.weight", &[1000, 2048])), &["fc.weight", "resnet50=FILE"]);
    let deeper = with(&resnet, "layer3.22.conv1.weight", &[256, 1024, 1, 1]);
    has(refused_as("resnet50", &deeper), &["layer3.22.conv1.weight", "another depth"]);
    let wide = with(&resnet, "layer1.0.conv2.weight", &[128, 128, 3, 3]);
    has(refused_as("resnet50", &wide), &["layer1.0.conv2.weight: shape [128, 128, 3, 3]", "has [64, 64, 3, 3]"]);
    let mut two: Shapes = clip.iter().map(|(name, shape)| (format!("a.{name}"), shape.clone())).collect();
    two.extend(clip.iter().map(|(name, shape)| (format!("b.{name}"), shape.clone())));
    has(refused_as("clip", &two), &["\"a.\"", "\"b.\""]);
    let google = inception::layout().tensors;
    has(
        refused_as("inception", &with(&google, "fc.weight", &[1000, 2048])),
        &["fc.weight: shape [1000, 2048]", "pytorch-fid"],
    );
    let auxiliary = with(&with(&google, "fc.weight", &[1000, 2048]), "AuxLogits.fc.weight", &[1000, 768]);
    has(refused_as("inception", &auxiliary), &["AuxLogits", "torchvision"]);
    // The right shapes, and every number the same one: more than the file has.
    has(refused_as("dino", &resnet), &["more numbers than the file has"]);
}

#[test]
fn numbers_that_cannot_be_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let (mut tensors, _) = read_tensors(&fixture("digits32/embedder.safetensors")).unwrap();
    tensors.get_mut("fc.bias").unwrap().fill(f32::NAN);
    write_tensors(&path, &tensors, &Metadata::new()).unwrap();
    let error = features("small", &path).expect_err("refused").to_string();
    assert!(error.contains("fc.bias: numbers that are not finite"), "{error}");
}

#[test]
fn what_is_no_weights_file_is_refused() {
    let (entries, storages) = state_dict(&few(), false);
    let state = ordered_dict(entries.clone());
    let whole = zip(&state, &storages);
    let assert = |bytes: &[u8], part: &str| {
        let error = refusal(bytes);
        assert!(error.contains(part), "{error}: no {part}");
    };
    assert(b"", "empty");
    assert(b"GIF89a", "begins with GIF89a");
    assert(&whole[..whole.len() / 2], "zip");
    assert(&fs::read(fixture("digits32/digits32.zip")).unwrap(), "without data.pkl");
    assert(&fs::read(fixture("digits32/teacher-digits32.pkl")).unwrap(), "not a PyTorch weights file");
    assert(&zip_of(&state, &storages, zip::CompressionMethod::Deflated), "compressed");
    assert(&zip(&state, &vec![]), "not in the file");
    assert(&zip(&call("os", "system", vec![text("true")]), &vec![]), "refused: the file asks for os.system");
    assert(&zip(&Py::Int(1), &vec![]), "no tensors by name");
    let short: Storages = storages.iter().map(|(format, bytes)| (*format, bytes[1..].to_vec())).collect();
    assert(&zip(&state, &short), "for 2 numbers: damaged");
    let beyond = dict([("x", view(reference("FloatStorage", 0, 1, false), &[2], &[1]))]);
    assert(&zip(&beyond, &vec![("FloatStorage", vec![0; 4])]), "x: size [2]");
    let unknown = dict([("x", view(reference("UntypedStorage", 0, 1, false), &[1], &[1]))]);
    assert(&zip(&unknown, &vec![("UntypedStorage", vec![0; 4])]), "UntypedStorage");
    let many = dict([("x", view(reference("FloatStorage", 0, 1, false), &[1 << 30], &[0]))]);
    assert(&zip(&many, &vec![("FloatStorage", vec![0; 4])]), "more numbers than the file has");
    let (entries, storages) = state_dict(&few(), true);
    let whole = legacy(&ordered_dict(entries), &storages);
    assert(&whole[..whole.len() - 1], "cut short");
    for end in 0..whole.len() {
        refusal(&whole[..end]);
    }
}
