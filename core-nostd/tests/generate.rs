//! The generator keeps its promises for every shape of model.

use core::ops::ControlFlow;

use nickeldime_core::generator::{GenerateError, Latent, Noise, Sample, generate};
use nickeldime_core::latent::gaussian;
use nickeldime_core::pack::{Pack, WeightWidth};
use nickeldime_testkit::packs::{
    REFERENCE_SAMPLES, REFERENCE_SHA256, Shape, draw, random_header, random_pack, reference, tiny,
};
use sha2::{Digest, Sha256};

const PLAIN: Sample<'static> = Sample { latent: Latent::Seed(1), psi: 16384, noise: Noise::None };

/// Two blocks at most under Miri.
fn shape(z_dim: u16, w_dim: u16, mapping_layers: usize, channels: &[u16]) -> Shape {
    let channels = &channels[..channels.len().min(if cfg!(miri) { 2 } else { 9 })];
    Shape { z_dim, w_dim, mapping_layers, channels: channels.to_vec(), ..tiny() }
}

#[test]
fn every_shape_draws_an_image_with_contrast() {
    for (index, mut shape) in [
        shape(3, 2, 1, &[1, 1]),
        shape(5, 9, 2, &[7, 3]),
        shape(8, 8, 8, &[5, 4, 3]),
        shape(16, 7, 3, &[13, 11, 7, 5]),
        shape(2, 32, 4, &[6, 5, 4, 3, 1]),
        shape(64, 64, 16, &[20, 20, 9]),
        shape(300, 40, 2, &[70, 3]),
    ]
    .into_iter()
    .take(if cfg!(miri) { 2 } else { 7 })
    .enumerate()
    {
        for (width, limit) in [(WeightWidth::I8, 32767), (WeightWidth::I16, 32767), (WeightWidth::I8, 3000)] {
            (shape.width, shape.limit) = (width, limit);
            let bytes = random_pack(&shape, index as u32);
            let pack = Pack::open(bytes.bytes()).unwrap();
            assert_eq!(pack.resolution(), 2 << shape.channels.len());
            assert_eq!(pack.num_ws(), 2 * shape.channels.len());
            for noise in [Noise::None, Noise::Const, Noise::Random(4)] {
                let image = draw(&pack, &Sample { noise, ..PLAIN }).unwrap();
                let (low, high) = (image.iter().min().unwrap(), image.iter().max().unwrap());
                assert!(high - low > 20, "{shape:?}: {low} to {high}");
            }
        }
    }
}

#[test]
fn the_same_sample_gives_the_same_image_whatever_the_workspace_held() {
    let bytes = random_pack(&shape(8, 6, 2, &[5, 4, 3]), 11);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let sample = Sample { noise: Noise::Random(9), ..PLAIN };
    let first = draw(&pack, &sample).unwrap();
    // Longer than needed, and dirty from another image.
    let mut workspace = vec![-1; pack.workspace_len() + 100];
    for seed in [5, 1] {
        let mut image = Vec::new();
        let sample = Sample { latent: Latent::Seed(seed), ..sample };
        generate(&pack, &sample, &mut workspace, &mut |_, row| {
            image.extend_from_slice(row);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(image == first, seed == 1);
    }
}

#[test]
fn a_seed_its_z_and_its_w_are_the_same_image() {
    let bytes = random_pack(&shape(8, 6, 1, &[5, 4, 3]), 12);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let image = draw(&pack, &PLAIN).unwrap();
    let z: Vec<i16> = (0..8).map(|i| gaussian(1, i)).collect();
    assert!(draw(&pack, &Sample { latent: Latent::Z(&z), ..PLAIN }).unwrap() == image);

    // At psi 0 every latent is the average w, which can also be given.
    let offset = pack.header().w_average as usize;
    let average: Vec<i32> =
        bytes.bytes()[offset..][..24].chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect();
    let middle = draw(&pack, &Sample { latent: Latent::W(&average), ..PLAIN }).unwrap();
    assert!(middle != image);
    for seed in 0..3 {
        assert!(draw(&pack, &Sample { latent: Latent::Seed(seed), psi: 0, ..PLAIN }).unwrap() == middle);
    }
}

#[test]
fn noise_is_what_was_asked_for() {
    let bytes = random_pack(&tiny(), 13);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let with = |noise| draw(&pack, &Sample { noise, ..PLAIN }).unwrap();
    let images = [with(Noise::None), with(Noise::Const), with(Noise::Random(1)), with(Noise::Random(2))];
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        assert!(images[a] != images[b], "{a} {b}");
    }
    assert!(images[2] == with(Noise::Random(1)));
}

#[test]
fn wrong_requests_are_errors() {
    let (mut header, arrays) = random_header(&tiny(), 14);
    header.const_noise = false;
    for block in &mut header.blocks {
        block.conv1.noise_map = None;
        block.conv0.iter_mut().for_each(|conv| conv.noise_map = None);
    }
    let bytes = nickeldime_testkit::packs::assemble(&header, &arrays);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let fails = |sample| draw(&pack, &sample).unwrap_err();
    assert_eq!(fails(Sample { noise: Noise::Const, ..PLAIN }), GenerateError::NoConstNoise);
    assert_eq!(fails(Sample { latent: Latent::Z(&[0; 4]), ..PLAIN }), GenerateError::LatentLength);
    assert_eq!(fails(Sample { latent: Latent::W(&[0; 1]), ..PLAIN }), GenerateError::LatentLength);

    let mut rows = 0;
    for len in 0..pack.workspace_len() {
        let result = generate(&pack, &PLAIN, &mut vec![0; len], &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((result, rows), (Err(GenerateError::WorkspaceTooSmall), 0));
    }
    let stopped = generate(&pack, &PLAIN, &mut vec![0; pack.workspace_len()], &mut |y, _| {
        rows += 1;
        if y == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped, rows), (Err(GenerateError::Stopped), 5));
}

#[test]
#[cfg_attr(miri, ignore = "large images are too slow there")]
fn images_are_the_same_on_every_machine() {
    let mut hash = Sha256::new();
    for bytes in reference() {
        let pack = Pack::open(bytes.bytes()).unwrap();
        for sample in REFERENCE_SAMPLES {
            hash.update(draw(&pack, &sample).unwrap());
        }
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hash, REFERENCE_SHA256);
}

#[test]
fn a_grey_image_is_one_byte_a_pixel_and_what_an_equal_colour_would_be() {
    let (header, arrays) = random_header(&Shape { colours: 1, ..tiny() }, 21);
    let grey = nickeldime_testkit::packs::assemble(&header, &arrays);
    let grey = Pack::open(grey.bytes()).unwrap();
    let resolution = grey.resolution();
    assert_eq!(draw(&grey, &PLAIN).unwrap().len(), resolution * resolution);

    // The same numbers three times: a colour image of equal channels.
    let (mut header, mut arrays) = (header.clone(), arrays.clone());
    header.channels = 3;
    let bytes = arrays.arrays_mut().to_vec();
    for block in &mut header.blocks {
        let rgb = &mut block.torgb.rgb;
        let inputs = usize::from(rgb.inputs) * rgb.width.bytes();
        rgb.outputs = 3;
        for (offset, len) in [(&mut rgb.weights, inputs), (&mut rgb.scales, 4), (&mut rgb.biases, 4)] {
            let at = *offset as usize;
            *offset = arrays.push(bytes[at..at + len].repeat(3));
        }
    }
    let colour = nickeldime_testkit::packs::assemble(&header, &arrays);
    let colour = draw(&Pack::open(colour.bytes()).unwrap(), &PLAIN).unwrap();
    let expected: Vec<u8> = draw(&grey, &PLAIN).unwrap().into_iter().flat_map(|v| [v; 3]).collect();
    assert!(colour == expected);
}

#[test]
fn equal_ws_for_all_layers_are_one_w_and_other_ones_are_not() {
    let bytes = random_pack(&tiny(), 22);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let w: Vec<i32> = (0..pack.w_dim() as i32).map(|i| 30000 - 70000 * i).collect();
    let with = |latent: Latent<'_>| draw(&pack, &Sample { latent, ..PLAIN });
    let mut layers = w.repeat(pack.num_ws());
    assert!(with(Latent::Layers(&layers)).unwrap() == with(Latent::W(&w)).unwrap());
    let last = layers.len() - 1;
    layers[last] ^= 0x1_0000;
    assert!(with(Latent::Layers(&layers)).unwrap() != with(Latent::W(&w)).unwrap());
    assert_eq!(with(Latent::Layers(&layers[1..])), Err(GenerateError::LatentLength));
}
