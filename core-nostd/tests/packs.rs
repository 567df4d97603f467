//! No bytes, whoever made them, can make the engine panic or overflow; damaged ones are refused.
//!
//! These tests mean most in a debug build, where an arithmetic overflow traps.

use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::pack::layout::{Header, WeightWidth};
use nickeldime_core::pack::verify::{accumulator_fits, max_modulated};
use nickeldime_core::pack::write::with_signatures;
use nickeldime_core::pack::{Pack, PackBuilder, PackError};
use nickeldime_testkit::packs::{
    Aligned, Random, Shape, assemble, change, draw, exercise, fill, random_header, random_pack, rehash, rounds, tiny,
};

#[test]
fn a_pack_cut_anywhere_is_refused() {
    let pack = random_pack(&tiny(), 1);
    assert!(Pack::open(pack.bytes()).is_ok());
    let len = pack.bytes().len();
    for len in (0..len).step_by(len / rounds(len)) {
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
    let len = pack.bytes().len();
    for at in (0..len).step_by(len / rounds(len)) {
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
fn open_changed(change: impl FnOnce(&mut Header<'static>, &mut PackBuilder)) -> Option<PackError> {
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
    // The offset is moved to where the arrays begin: this one into the prefix.
    assert_eq!(open_changed(|h, _| h.constant = 0u32.wrapping_sub(256)), Some(Layout));
    assert_eq!(open_changed(|h, _| h.constant += 4), Some(Layout));
    assert_eq!(open_changed(|h, _| h.w_average = !15 - 4096), Some(Layout));
    assert_eq!(open_changed(|h, _| h.blocks[1].conv1.weights = 0u32.wrapping_sub(16)), Some(Layout));
    assert_eq!(open_changed(|h, _| h.mapping[0].fraction = 15), Some(Scale));
    assert_eq!(open_changed(|h, _| h.image_fraction = 9), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.limit = -5), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.gain.mantissa = 7), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.modulation_shift = 14), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].conv1.noise.shift = 63), Some(Scale));
    assert_eq!(open_changed(|h, _| h.blocks[0].torgb.limit = i32::MAX), Some(Scale));
    let bias = |h: &mut Header<'_>, a: &mut PackBuilder| {
        let at = h.blocks[0].conv1.biases as usize;
        a.arrays_mut()[at..at + 4].copy_from_slice(&i32::MIN.to_le_bytes());
    };
    assert_eq!(open_changed(bias), Some(Scale));
    let scale = |h: &mut Header<'_>, a: &mut PackBuilder| {
        let at = h.mapping[0].scales as usize;
        a.arrays_mut()[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    };
    assert_eq!(open_changed(scale), Some(Scale));

    // 9 * 64 taps of 127 times the largest modulated activation are above 2^31.
    let shape = Shape { channels: vec![64, 4], ..tiny() };
    let (mut header, mut arrays) = random_header(&shape, 5);
    let at = header.blocks[0].conv1.weights as usize;
    arrays.arrays_mut()[at..at + 2 * 9 * 64].fill(127);
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

#[test]
fn hostile_packs_with_a_right_hash_never_panic_or_overflow() {
    let mut random = Random::new(6);
    let mut opened = 0;
    let count = rounds(1500);
    for round in 0..count {
        let shape = Shape { width: [WeightWidth::I8, WeightWidth::I16][round % 2], ..tiny() };
        let (mut header, mut arrays) = random_header(&shape, round as u32);
        for _ in 0..=random.below(3) {
            change(&mut header, &mut random);
        }
        if round % 3 == 0 {
            fill(arrays.arrays_mut(), &mut random);
        }
        let pack = assemble(&header, &arrays);
        if let Ok(pack) = Pack::open(pack.bytes()) {
            opened += 1;
            exercise(&pack, &mut random);
        }
    }
    println!("{opened} of {count} opened");
    assert!(5 * opened > count, "the mutations are too wild to test the engine: {opened}");
}

#[test]
fn random_header_bytes_with_a_right_hash_never_panic_or_overflow() {
    let mut random = Random::new(7);
    let original = random_pack(&tiny(), 8);
    let header_len = u32::from_le_bytes(original.bytes()[16..20].try_into().unwrap());
    let mut opened = 0;
    let count = rounds(4000);
    for _ in 0..count {
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
    println!("{opened} of {count} opened");
    assert!(cfg!(miri) || 100 * opened > count, "{opened}");
}

#[test]
fn a_signed_pack_is_the_same_model_and_no_byte_of_its_trailer_may_be_missing() {
    let pack = random_pack(&tiny(), 9);
    let signed = Aligned::new(&with_signatures(pack.bytes(), 2).unwrap());
    let opened = Pack::open(signed.bytes()).unwrap();
    assert_eq!(opened.signatures(), [[0; 96]; 2]);
    assert_eq!(opened.header(), Pack::open(pack.bytes()).unwrap().header());
    assert_ne!(opened.sha256(), Pack::open(pack.bytes()).unwrap().sha256(), "the length is hashed");
    let len = signed.bytes().len();
    assert_eq!(len, pack.bytes().len() + 192);
    for len in len - 192..len {
        assert_eq!(Pack::open(&signed.bytes()[..len]).unwrap_err(), PackError::Truncated);
    }
    // A shorter length in the prefix does not take signatures away: it is hashed.
    let mut shorter = Aligned::new(&signed.bytes()[..len - 96]);
    shorter.bytes_mut()[12..16].copy_from_slice(&(len as u32 - 96).to_le_bytes());
    assert_eq!(Pack::open(shorter.bytes()).unwrap_err(), PackError::HashMismatch);
    assert_eq!(with_signatures(pack.bytes(), 5), Err(PackError::Layout));
}

#[test]
fn four_bit_weights_are_refused_by_name() {
    let pack = random_pack(&tiny(), 9);
    let encode = |value: &Header<'_>| postcard::to_slice(value, &mut [0; 4096]).unwrap().to_vec();
    let header = &pack.bytes()[64..];
    let encoded = encode(Pack::open(pack.bytes()).unwrap().header());
    assert!(header.starts_with(&encoded));
    let dense =
        postcard::to_slice(&Pack::open(pack.bytes()).unwrap().header().mapping[0], &mut [0; 64]).unwrap().to_vec();
    let at = 64 + encoded.windows(dense.len()).position(|part| part == dense).unwrap();
    for (width, error) in [(2, PackError::FourBitWeights), (3, PackError::Header)] {
        let mut changed = pack.clone();
        // Behind inputs and outputs, a byte each here.
        changed.bytes_mut()[at + 2] = width;
        rehash(&mut changed);
        assert_eq!(Pack::open(changed.bytes()).unwrap_err(), error);
        assert_eq!(Pack::reopen(changed.bytes()).unwrap_err(), error);
    }
}

/// A pack that was verified and has changed since: reopening reads its structure alone. Where the arithmetic is checked for
/// overflow it may trap, which is why the numbers stay here.
#[test]
fn a_reopened_pack_whose_structure_has_changed_is_refused() {
    let pack = random_pack(&tiny(), 10);
    assert_eq!(Pack::reopen(pack.bytes()).unwrap().header(), Pack::open(pack.bytes()).unwrap().header());
    let mut damaged = pack.clone();
    let len = damaged.bytes().len();
    damaged.bytes_mut()[len - 40] ^= 1;
    assert_eq!(Pack::open(damaged.bytes()).unwrap_err(), PackError::HashMismatch);
    assert!(Pack::reopen(damaged.bytes()).is_ok(), "numbers are not read");
    let mut random = Random::new(11);
    let header_len = u32::from_le_bytes(pack.bytes()[16..20].try_into().unwrap());
    for _ in 0..rounds(4000) {
        let mut pack = pack.clone();
        let at = if random.below(8) == 0 { 8 + random.below(24) } else { 64 + random.below(header_len) };
        pack.bytes_mut()[at as usize] = random.word() as u8;
        if let Ok(pack) = Pack::reopen(pack.bytes())
            && pack.workspace_len() < 1 << 20
        {
            let sample = Sample { latent: Latent::Seed(1), psi: 16384, noise: Noise::None };
            draw(&pack, &sample).unwrap();
        }
    }
}

#[test]
#[cfg(not(debug_assertions))]
fn a_reopened_pack_whose_numbers_have_changed_never_panics() {
    let mut random = Random::new(12);
    let pack = random_pack(&tiny(), 10);
    for _ in 0..rounds(2000) {
        let mut pack = pack.clone();
        let len = pack.bytes().len();
        let start = 1024 + random.below(len as u32 - 1024) as usize;
        pack.bytes_mut()[start..(start + 60).min(len)].fill([0x80, 0xFF, 0x7F][random.below(3) as usize]);
        if let Ok(pack) = Pack::reopen(pack.bytes()) {
            exercise(&pack, &mut random);
        }
    }
}
