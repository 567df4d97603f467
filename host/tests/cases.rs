//! Files of the kinds that people have give what the original software makes of them, see `fixtures/cases`.

use std::path::{Path, PathBuf};

use burn::{
    backend::Flex,
    tensor::{Tensor, TensorData},
};
use ndarray::{Array2, ArrayD, ArrayView3, Axis, Ix2, IxDyn, Slice};
use nickeldime::{
    draw::{Latents, NoiseMode, Preview, latent_file},
    picture::Picture,
};
use nickeldime_checkpoint::{
    self as checkpoint, Checkpoint, DiscriminatorWeights, GeneratorWeights, Remark, Tensors,
    model::{
        arch::{CriticArchitecture, DeviationGroup, DiscriminatorArch, GREY, GeneratorArch},
        initial,
    },
    read_tensors, write_tensors,
};
use nickeldime_testkit::{
    critic_oracle, fixture,
    official::{self, other, small},
    oracle,
    pickle_writer::{Py, dict, ordered_dict},
    rosinality, small_networks, torch_writer,
};

fn case(name: &str) -> PathBuf {
    fixture("cases").join(name)
}

fn tensors(name: &str) -> Tensors {
    read_tensors(&case(name)).unwrap().0
}

/// The largest difference between a generator's images of z and others.
fn difference(generator: &GeneratorWeights, z: Array2<f32>, images: &ArrayD<f32>) -> f32 {
    let preview = Preview::new(generator).unwrap();
    let drawn = preview.images(&Latents::Z(z), 1.0, NoiseMode::Const, &mut |_| true).unwrap().concat();
    assert_eq!(drawn.len(), images.len());
    drawn.iter().zip(images).fold(0.0, |most, (a, b)| (a - b).abs().max(most))
}

/// The model of a case draws its reference images; the model is returned.
fn drawn_as_it_was(model: &str) -> Checkpoint {
    let stem = model.rsplit_once('.').unwrap().0;
    let z = tensors(&format!("{stem}.z.safetensors")).remove("z").unwrap();
    let images = tensors(&format!("{stem}.ref.safetensors")).remove("images").unwrap();
    let checkpoint = checkpoint::open(&case(model)).unwrap();
    let error = difference(&checkpoint.generator, z.into_dimensionality::<Ix2>().unwrap(), &images);
    println!("{model}: largest difference {error:.1e}");
    assert!(error < 1e-4, "{model}: {error}");
    checkpoint
}

fn logits(critic: &DiscriminatorWeights, images: &ArrayD<f32>) -> Vec<f32> {
    let shape: [usize; 4] = images.shape().try_into().unwrap();
    let data = TensorData::new(images.iter().copied().collect(), shape);
    let network = small_networks::build_critic::<Flex>(critic);
    network.forward(Tensor::from_data(data, &Default::default())).into_data().iter().collect()
}

/// The critic of a case gives its reference logits.
fn judged_as_it_was(checkpoint: &Checkpoint, reference: &str) {
    let reference = tensors(reference);
    let critic = checkpoint.critic().unwrap();
    let mut batches = vec![("logits", reference["images"].clone())];
    if reference.contains_key("logits_first3") {
        let first = reference["images"].slice_axis(Axis(0), Slice::from(0..3)).to_owned();
        batches.push(("logits_first3", first));
    }
    for (name, images) in batches {
        for (ours, theirs) in logits(critic, &images).iter().zip(&reference[name]) {
            assert!((ours - theirs).abs() < 1e-4 * theirs.abs().max(1.0), "{name}: {ours} {theirs}");
        }
    }
}

#[test]
fn a_converted_tensorflow_checkpoint_has_the_batch_for_a_group() {
    let checkpoint = drawn_as_it_was("legacy-group-none/model.pkl");
    assert_eq!(checkpoint.critic().unwrap().arch.mbstd_group, DeviationGroup::Batch);
    judged_as_it_was(&checkpoint, "legacy-group-none/critic.ref.safetensors");
}

#[test]
fn a_critic_of_the_configuration_cifar_is_read_and_right() {
    let checkpoint = drawn_as_it_was("cifar-critic/model.pkl");
    let arch = &checkpoint.critic().unwrap().arch;
    assert_eq!((arch.architecture, arch.mbstd_group), (CriticArchitecture::Orig, DeviationGroup::Samples(32)));
    judged_as_it_was(&checkpoint, "cifar-critic/critic.ref.safetensors");
}

#[test]
fn a_critic_of_every_architecture_and_group_judges_as_the_specification_says() {
    let clamped = GeneratorArch { conv_clamp: Some(0.5), channels: vec![4, 3, 5], ..small() };
    let images: Vec<Vec<Vec<f64>>> = (0..6)
        .map(|n| (0..3).map(|c| (0..256).map(|p| ((n * 7 + c * 5 + p * p) as f64 * 0.37).sin()).collect()).collect())
        .collect();
    let flat = images.iter().flatten().flatten().map(|&v| v as f32).collect();
    let batch = ArrayD::from_shape_vec(IxDyn(&[6, 3, 16, 16]), flat).unwrap();
    for architecture in [CriticArchitecture::Orig, CriticArchitecture::Skip, CriticArchitecture::Resnet] {
        for mbstd_group in
            [DeviationGroup::Absent, DeviationGroup::Batch, DeviationGroup::Samples(3), DeviationGroup::Samples(32)]
        {
            let arch = DiscriminatorArch { architecture, mbstd_group, ..DiscriminatorArch::beside(&clamped, 4) };
            let mut critic = initial::discriminator(&arch, 3);
            // Biases are 0 at the beginning of a training: here they must not be.
            for (index, tensor) in critic.tensors.values_mut().enumerate() {
                tensor.iter_mut().for_each(|v| *v += 0.1 + 0.01 * index as f32);
            }
            let expected = critic_oracle::logits(&critic, &images);
            for (ours, theirs) in logits(&critic, &batch).iter().zip(expected) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-4 * theirs.abs().max(1.0), "{arch:?}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn a_generator_beside_foreign_things_is_read() {
    let checkpoint = drawn_as_it_was("foreign-critic/model.pkl");
    let reason = checkpoint.critic().unwrap_err().to_string();
    assert!(reason.contains("torch.nn.modules.container.Sequential"), "{reason}");
    let [remark] = &checkpoint.remarks[..] else { panic!("{:?}", checkpoint.remarks) };
    assert!(remark.to_string().contains("not read"), "{remark}");
    let checkpoint = drawn_as_it_was("foreign-metadata/model.pkl");
    assert!(checkpoint.critic().is_ok() && checkpoint.remarks.is_empty());
}

#[test]
fn a_state_dict_is_a_checkpoint() {
    assert!(drawn_as_it_was("state-dict/G_ema.pt").remarks.is_empty());
}

#[test]
fn a_training_of_rosinalitys_is_a_checkpoint() {
    let checkpoint = drawn_as_it_was("rosinality/800000.pt");
    judged_as_it_was(&checkpoint, "rosinality/800000.critic.ref.safetensors");
    assert_eq!(checkpoint.remarks, [Remark::MeasuredMean(4096)]);
}

#[test]
fn a_grey_network_draws_its_images() {
    let checkpoint = drawn_as_it_was("grey/grey.pkl");
    assert_eq!(checkpoint.generator.arch.img_channels, GREY);
    assert_eq!(checkpoint.critic().unwrap().arch.img_channels, GREY);
    let seeds = vec![0, 1, 2, 85];
    let preview = Preview::new(&checkpoint.generator).unwrap();
    let size = preview.resolution();
    let drawn = preview.images(&Latents::NumpySeeds(seeds.clone()), 1.0, NoiseMode::Const, &mut |_| true).unwrap();
    for (seed, image) in seeds.iter().zip(drawn) {
        let file = case(&format!("grey/generate.py/seed{seed:04}.png"));
        let theirs = image::open(&file).unwrap().into_luma8();
        let ours = Picture::from_floats(ArrayView3::from_shape((1, size, size), &image).unwrap());
        let png = image::load_from_memory(&ours.png().unwrap()).unwrap();
        assert_eq!(png.color(), image::ColorType::L8);
        let apart = png.into_luma8().as_raw().iter().zip(theirs.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "seed {seed}: {apart:?} levels");
    }
}

#[test]
fn latents_in_files_draw_the_images_of_their_authors() {
    let model = checkpoint::open(&case("latent-files/model.pkl")).unwrap();
    let preview = Preview::new(&model.generator).unwrap();
    let worst = |latents: &Latents, reference: &ArrayD<f32>| {
        let drawn = preview.images(latents, 1.0, NoiseMode::Const, &mut |_| true).unwrap().concat();
        assert_eq!(drawn.len(), reference.len());
        drawn.iter().zip(reference).fold(0f32, |most, (a, b)| (a - b).abs().max(most))
    };
    for (file, reference) in [("projected_w.npz", "ref.safetensors"), ("z.npy", "ref-z.safetensors")] {
        let latents = latent_file::read(&case("latent-files").join(file)).unwrap();
        let error = worst(&latents, &tensors(&format!("latent-files/{reference}"))["images"]);
        println!("{file}: largest difference {error:.1e}");
        assert!(error < 1e-4, "{file}: {error}");
    }
    // The same w in every other form: safetensors, and an array without a name.
    let folder = tempfile::tempdir().unwrap();
    let Latents::LayerW(ws) = latent_file::read(&case("latent-files/projected_w.npz")).unwrap() else {
        panic!("w for every layer");
    };
    let path = folder.path().join("w.safetensors");
    write_tensors(&path, &Tensors::from([("w".into(), ws.clone().into_dyn())]), &Default::default()).unwrap();
    assert_eq!(latent_file::read(&path).unwrap(), Latents::LayerW(ws.clone()));
    let (n, layers, width) = ws.dim();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {layers}, {width}), }}\n");
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend(ws.iter().flat_map(|v| v.to_le_bytes()));
    let path = folder.path().join("w.npy");
    std::fs::write(&path, npy).unwrap();
    assert_eq!(latent_file::read(&path).unwrap(), Latents::LayerW(ws));
}

#[test]
fn numpys_seeds_draw_the_images_of_generate_py() {
    let model = checkpoint::open(&case("numpy-seeds/model.pkl")).unwrap();
    let seeds = vec![0, 1, 85, 265, 297];
    let preview = Preview::new(&model.generator).unwrap();
    let size = preview.resolution();
    let drawn = preview.images(&Latents::NumpySeeds(seeds.clone()), 1.0, NoiseMode::Const, &mut |_| true).unwrap();
    for (seed, image) in seeds.iter().zip(drawn) {
        let file = case(&format!("numpy-seeds/generate.py/seed{seed:04}.png"));
        let theirs = image::open(&file).unwrap().into_rgb8();
        let ours = Picture::from_floats(ArrayView3::from_shape((3, size, size), &image).unwrap());
        let apart = ours.pixels().iter().zip(theirs.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "seed {seed}: {apart:?} levels");
    }
}

fn read(bytes: &[u8]) -> Checkpoint {
    checkpoint::from_bytes(Path::new("file.pt"), bytes).unwrap()
}

/// Checkpoints of several shapes, pruned ones among them, whose critic has groups of 4 and no limit.
fn checkpoints() -> Vec<Checkpoint> {
    let free = |arch: GeneratorArch| GeneratorArch { conv_clamp: None, ..arch };
    // In rosinality's networks z is as wide as w.
    let square = |arch: GeneratorArch| GeneratorArch { z_dim: arch.w_dim, ..arch };
    let grey = GeneratorArch { img_channels: GREY, ..small() };
    let shapes = [small(), other(), grey, GeneratorArch { channels: vec![1, 7, 2, 5], ..small() }];
    shapes.map(|arch| official::weights(&free(square(arch)))).into()
}

#[test]
fn every_form_of_a_state_dict_gives_the_same_networks() {
    for whole in checkpoints() {
        let alone = Checkpoint::of_generator(whole.generator.clone());
        let (g, d) = (&whole.generator.tensors, &whole.critic().unwrap().tensors);
        for legacy in [false, true] {
            let write = |entries: Vec<(String, Py)>, storages: &torch_writer::Storages| match legacy {
                true => torch_writer::legacy(&dict(entries), storages),
                false => torch_writer::zip(&dict(entries), storages),
            };
            let (bare, storages) = torch_writer::state_dict(g, legacy);
            assert!(read(&write(bare.clone(), &storages)) == alone);
            // As `torch.nn.DataParallel` names them, and one level down.
            let (counter, own): (Vec<_>, Vec<_>) = bare.into_iter().partition(|(name, _)| name.starts_with("bn."));
            let own: Vec<_> = own.into_iter().map(|(name, value)| (format!("module.{name}"), value)).collect();
            let below = [("state_dict".to_owned(), ordered_dict(own))].into_iter().chain(counter).collect();
            assert!(read(&write(below, &storages)) == alone);
            let other = initial::generator(&whole.generator.arch, 9).tensors;
            let (all, storages) = rosinality::state_dicts(&[("G", &other), ("D", d), ("G_ema", g)], &[], legacy);
            assert!(read(&write(all, &storages)) == whole);
        }
    }
}

#[test]
fn every_form_of_rosinalitys_files_gives_the_same_networks() {
    for whole in checkpoints() {
        let critic = rosinality::critic(whole.critic().unwrap());
        let generator = rosinality::generator(&whole.generator, true);
        let other = rosinality::generator(&initial::generator(&whole.generator.arch, 9), true);
        let mean = whole.generator.tensors["mapping.w_avg"].clone();
        for legacy in [false, true] {
            let write = |entries: Vec<(String, Py)>, storages: &torch_writer::Storages| match legacy {
                true => torch_writer::legacy(&dict(entries), storages),
                false => torch_writer::zip(&dict(entries), storages),
            };
            // A converted file, and a training with everything that it has.
            let lone = [("latent_avg", mean.clone())];
            let networks = [("g", &other), ("d", &critic), ("g_ema", &generator)];
            let (mut entries, storages) = rosinality::state_dicts(&networks, &lone, legacy);
            entries.extend(rosinality::training());
            assert!(read(&write(entries, &storages)) == whole);
            // A bare state dict, whose mean of w is measured.
            let (entries, storages) = torch_writer::state_dict(&generator, legacy);
            let found = read(&write(entries, &storages));
            assert_eq!(found.remarks, [Remark::MeasuredMean(4096)]);
            assert_eq!(found.generator.arch, whole.generator.arch);
            for (name, tensor) in &whole.generator.tensors {
                assert!(name == "mapping.w_avg" || *tensor == found.generator.tensors[name], "{name}");
            }
            // The first versions had no noise maps.
            let silent = rosinality::generator(&whole.generator, false);
            let (entries, storages) = rosinality::state_dicts(&[("g_ema", &silent)], &lone, legacy);
            let found = read(&write(entries, &storages));
            assert_eq!(found.remarks, [Remark::WithoutNoise]);
            let maps = found.generator.tensors.iter().filter(|(name, _)| name.ends_with("noise_const"));
            assert!(maps.flat_map(|(_, map)| map).all(|&v| v == 0.0));
        }
    }
}

#[test]
fn a_measured_mean_of_w_is_the_mean_of_mapped_latents() {
    let whole = official::weights(&GeneratorArch { z_dim: 4, ..small() });
    let tensors = rosinality::generator(&whole.generator, true);
    let (entries, storages) = torch_writer::state_dict(&tensors, false);
    let found = read(&torch_writer::zip(&dict(entries), &storages));
    let mut mean = vec![0.0; 4];
    for seed in 0..4096 {
        let z: Vec<f64> = (0..4).map(|i| f64::from(nickeldime_core::latent::gaussian(seed, i)) / 4096.0).collect();
        let w = oracle::mapping(&whole.generator, &z, 1.0);
        mean.iter_mut().zip(w).for_each(|(mean, w)| *mean += w / 4096.0);
    }
    for (ours, theirs) in found.generator.tensors["mapping.w_avg"].iter().zip(mean) {
        assert!((f64::from(*ours) - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

#[test]
fn what_rosinalitys_files_must_not_have_is_refused_by_name() {
    let whole = &checkpoints()[1];
    let refused = |change: &dyn Fn(&mut Tensors), said: &[&str]| {
        let mut tensors = rosinality::generator(&whole.generator, true);
        change(&mut tensors);
        let (entries, storages) = rosinality::state_dicts(&[("g_ema", &tensors)], &[], false);
        let file = torch_writer::zip(&dict(entries), &storages);
        let error = checkpoint::from_bytes(Path::new("file.pt"), &file).expect_err("refused").to_string();
        assert!(said.iter().all(|part| error.contains(part)), "{error}: not all of {said:?}");
    };
    let bias = "convs.1.activate.bias";
    refused(&|t| drop(t.remove(bias)), &["synthesis.b8.conv1.bias: missing"]);
    refused(&|t| t.get_mut(bias).unwrap().fill(f32::NAN), &["convs.1.activate.bias", "NaN"]);
    refused(
        &|t| drop(t.insert(bias.into(), ArrayD::zeros(IxDyn(&[77])))),
        &["g_ema.convs.1.activate.bias: shape [77]"],
    );
    refused(&|t| drop(t.insert("attention.weight".into(), ArrayD::zeros(IxDyn(&[1])))), &["g_ema.attention.weight"]);
    let kernel = "convs.0.conv.blur.kernel";
    refused(&|t| t.get_mut(kernel).unwrap().fill(1.0), &["g_ema.convs.0.conv.blur.kernel", "only that one"]);
}
