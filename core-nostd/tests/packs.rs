//! No bytes, whoever made them, can make the engine panic or overflow; damaged ones are refused.
//!
//! These tests mean most in a debug build, where an arithmetic overflow traps.

#[path = "support/packs.rs"]
mod packs;

use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::number::{Gain, Requant};
use nickeldime_core::pack::layout::{Conv, Dense, Header, WeightWidth};
use nickeldime_core::pack::verify::{accumulator_fits, max_modulated};
use nickeldime_core::pack::{Pack, PackError};
use packs::{Aligned, BASE, Random, Shape, assemble, draw, random_header, random_pack, rehash, tiny};

/// Draws every kind of sample; a pack that opened must give each.
fn exercise(pack: &Pack<'_>, random: &mut Random) {
    let extreme = |random: &mut Random| [i16::MIN, i16::MAX, 0, 1][random.below(4) as usize];
    let z: Vec<i16> = (0..pack.z_dim()).map(|_| extreme(random)).collect();
    let w: Vec<i32> = (0..pack.w_dim()).map(|_| [i32::MIN, i32::MAX, 0, 65536][random.below(4) as usize]).collect();
    let noise = if pack.has_const_noise() { Noise::Const } else { Noise::None };
    for (latent, psi, noise) in [
        (Latent::Seed(random.word().into()), 16384, Noise::Random(random.word().into())),
        (Latent::Z(&z), i16::MIN, noise),
        (Latent::W(&w), i16::MAX, Noise::None),
    ] {
        draw(pack, &Sample { latent, psi, noise }).unwrap();
    }
}

#[test]
fn a_pack_cut_anywhere_is_refused() {
    let pack = random_pack(&tiny(), 1);
    assert!(Pack::open(pack.bytes()).is_ok());
    for len in 0..pack.bytes().len() {
        assert!(Pack::open(&pack.bytes()[..len]).is_err(), "{len}");
    }
    assert_eq!(Pack::open(&pack.bytes()[..63]).unwrap_err(), PackError::Truncated);
    let longer = Aligned::new(&[pack.bytes(), &[0]].concat());
    assert_eq!(Pack::open(longer.bytes()).unwrap_err(), PackError::TrailingBytes);
    assert_eq!(Pack::stored_len(longer.bytes()), Ok(pack.bytes().len()));
}

#[test]
fn a_pack_with_any_byte_flipped_is_refused() {
    let mut pack = random_pack(&tiny(), 2);
    for at in 0..pack.bytes().len() {
        let flip = 1u8 << (at % 8);
        pack.bytes_mut()[at] ^= flip;
        assert!(Pack::open(pack.bytes()).is_err(), "byte {at}");
        pack.bytes_mut()[at] ^= flip;
    }
    assert!(Pack::open(pack.bytes()).is_ok());
}

#[test]
fn errors_say_what_is_wrong() {
    let pack = random_pack(&tiny(), 3);
    let with = |at: usize, byte: u8| {
        let mut pack = pack.clone();
        pack.bytes_mut()[at] = byte;
        Pack::open(pack.bytes()).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, 0), PackError::NotAPack);
    assert_eq!(with(8, 9), PackError::UnsupportedVersion(9));
    assert_eq!(with(70, 0xEE), PackError::HashMismatch);
    assert_eq!(Pack::open(&[]).unwrap_err(), PackError::Truncated);
    let shifted = Aligned::new(&[&[0], pack.bytes()].concat());
    assert_eq!(Pack::open(&shifted.bytes()[1..]).unwrap_err(), PackError::Misaligned);
    assert!(with(8, 9).to_string().contains("version 9 is not supported"));
}

/// Opens a changed header; its error, if any.
fn open_changed(change: impl FnOnce(&mut Header<'static>, &mut Vec<u8>)) -> Option<PackError> {
    let (mut header, mut arrays) = random_header(&tiny(), 4);
    change(&mut header, &mut arrays);
    Pack::open(assemble(&header, &arrays).bytes()).err()
}

#[test]
fn structural_lies_are_refused_with_a_right_hash() {
    use PackError::{Architecture, Layout, Overflow, Scale};
    assert_eq!(open_changed(|_, _| {}), None);
    assert_eq!(open_changed(|h, _| h.z_dim += 1), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.mapping.clear()), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.mapping[0].outputs = 0), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.blocks.truncate(1)), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.blocks[1].conv0 = None), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.outputs = 3), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.blocks[1].torgb.rgb.outputs = 4), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.const_noise = false), Some(Architecture));
    assert_eq!(open_changed(|h, _| h.constant = 64), Some(Layout));
    assert_eq!(open_changed(|h, _| h.constant += 4), Some(Layout));
    assert_eq!(open_changed(|h, _| h.w_average = !15), Some(Layout));
    assert_eq!(open_changed(|h, _| h.blocks[1].conv1.weights = 0), Some(Layout));
    assert_eq!(open_changed(|h, _| h.mapping[0].fraction = 15), Some(Scale));
    assert_eq!(open_changed(|h, _| h.image_fraction = 9), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.limit = -5), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.gain.mantissa = 7), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.modulation_shift = 14), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.noise.shift = 63), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].torgb.limit = i32::MAX), Some(Scale));
    let bias = |h: &mut Header<'_>, a: &mut Vec<u8>| {
        let at = h.blocks[0].conv1.biases as usize - BASE;
        a[at..at + 4].copy_from_slice(&i32::MIN.to_le_bytes());
    };
    assert_eq!(open_changed(bias), Some(Scale));
    let scale = |h: &mut Header<'_>, a: &mut Vec<u8>| {
        let at = h.mapping[0].scales as usize - BASE;
        a[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    };
    assert_eq!(open_changed(scale), Some(Scale));

    // 9 * 64 taps of 127 times the largest modulated activation are above 2^31.
    let shape = Shape { channels: vec![64, 4], ..tiny() };
    let (mut header, mut arrays) = random_header(&shape, 5);
    let at = header.blocks[0].conv1.weights as usize - BASE;
    arrays[at..at + 2 * 9 * 64].fill(127);
    header.blocks[0].conv1.modulation_shift = 15;
    assert_eq!(Pack::open(assemble(&header, &arrays).bytes()).err(), Some(Overflow));
    header.blocks[0].conv1.modulation_shift = 17;
    assert!(Pack::open(assemble(&header, &arrays).bytes()).is_ok());
}

#[test]
fn the_overflow_proof_is_sharp() {
    assert_eq!(max_modulated(15), 32766);
    // 65540 * 32766 is the first product above i32::MAX: 65539 fits.
    let weights = |sum: usize| {
        let mut w = vec![-128i8; sum / 128];
        w.push((sum % 128) as i8);
        w
    };
    assert!(accumulator_fits(weights(65540), 15) == (65540 * 32766 <= i64::from(i32::MAX)));
    assert!(accumulator_fits(weights(65538), 15));
    assert!(!accumulator_fits(weights(65541), 15));
}

/// One random change of a dense layer's table.
fn change_dense(layer: &mut Dense, random: &mut Random) {
    match random.below(6) {
        0 => layer.shift = random.word() as i8,
        1 => layer.fraction = random.word() as i8,
        2 => layer.weights = random.word() & 0x1FF0,
        3 => layer.biases = random.word() & 0x1FF0,
        4 => layer.scales = random.word() & 0x1FF0,
        _ => layer.width = [WeightWidth::I8, WeightWidth::I16][random.below(2) as usize],
    }
}

/// One random change of a convolution's table.
fn change_conv(conv: &mut Conv, random: &mut Random) {
    let requant = |random: &mut Random| Requant { multiplier: random.word() as i32, shift: random.below(64) as u8 };
    match random.below(9) {
        0 => conv.gain = Gain { mantissa: (1 << 30) + random.below(1 << 30), exponent: random.word() as i8 },
        1 => conv.fir = conv.fir.map(|_| requant(random)),
        2 => conv.noise = requant(random),
        3 => conv.limit = random.word() as i16,
        4 => conv.modulation_shift = random.below(32) as u8,
        5 => conv.weights = random.word() & 0x1FF0,
        6 => conv.biases = random.word() & 0x1FF0,
        7 => {
            if let Some(map) = &mut conv.noise_map {
                map.scale = requant(random);
            }
        }
        _ => change_dense(&mut conv.affine, random),
    }
}

#[test]
fn hostile_packs_with_a_right_hash_never_panic_or_overflow() {
    let mut random = Random::new(6);
    let mut opened = 0;
    for round in 0..1500 {
        let shape = Shape { width: [WeightWidth::I8, WeightWidth::I16][round % 2], ..tiny() };
        let (mut header, mut arrays) = random_header(&shape, round as u32);
        for _ in 0..=random.below(3) {
            let block = random.below(2) as usize;
            match random.below(6) {
                0 => change_dense(&mut header.mapping[0], &mut random),
                1 => change_conv(&mut header.blocks[block].conv1, &mut random),
                2 => change_conv(header.blocks[1].conv0.as_mut().unwrap(), &mut random),
                3 => change_dense(&mut header.blocks[block].torgb.affine, &mut random),
                4 => change_dense(&mut header.blocks[block].torgb.rgb, &mut random),
                _ => {
                    let torgb = &mut header.blocks[block].torgb;
                    torgb.limit = random.word() as i32 >> random.below(20);
                    header.image_fraction = random.below(10) as u8;
                }
            }
        }
        // Some arrays full of extremes.
        if round % 3 == 0 {
            let extreme = [0x80, 0x7F, 0x00, 0xFF][random.below(4) as usize];
            let start = random.below(arrays.len() as u32) as usize;
            let end = (start + 1 + random.below(400) as usize).min(arrays.len());
            arrays[start..end].fill(extreme);
        }
        let pack = assemble(&header, &arrays);
        if let Ok(pack) = Pack::open(pack.bytes()) {
            opened += 1;
            exercise(&pack, &mut random);
        }
    }
    println!("{opened} of 1500 opened");
    assert!(opened > 300, "the mutations are too wild to test the engine: {opened}");
}

#[test]
fn random_header_bytes_with_a_right_hash_never_panic_or_overflow() {
    let mut random = Random::new(7);
    let original = random_pack(&tiny(), 8);
    let header_len = u32::from_le_bytes(original.bytes()[16..20].try_into().unwrap());
    let mut opened = 0;
    for _ in 0..4000 {
        let mut pack = original.clone();
        for _ in 0..=random.below(2) {
            // Lengths in the prefix now and then, the header mostly.
            let at = if random.below(16) == 0 { 8 + random.below(24) } else { 64 + random.below(header_len) };
            pack.bytes_mut()[at as usize] = random.word() as u8;
        }
        rehash(&mut pack);
        if let Ok(pack) = Pack::open(pack.bytes()) {
            opened += 1;
            // A header may describe a larger image than the arrays' author meant, but never outside the pack.
            if pack.workspace_len() < 1 << 20 {
                exercise(&pack, &mut random);
            }
        }
    }
    println!("{opened} of 4000 opened");
    assert!(opened > 40, "{opened}");
}
