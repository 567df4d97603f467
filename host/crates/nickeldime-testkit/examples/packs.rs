//! Writes packs for programs in other languages: the two reference packs, and one for each reason to refuse a pack.
//!
//! `packs DIR` writes the files and prints, for each of the good ones, the SHA-256 of the images of the seeds 0 to 15 as
//! `nickeldime sample` draws them.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::hash::Sha256;
use nickeldime_core::hex::Hex;
use nickeldime_core::pack::layout::Header;
use nickeldime_core::pack::{Pack, PackBuilder, PackError};
use nickeldime_testkit::packs::{Aligned, Shape, assemble, draw, random_header, random_pack, reference, rehash, tiny};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: packs DIR")?);
    fs::create_dir_all(&folder)?;
    let [narrow, wide] = reference();
    for (name, bytes) in [("i8.ndm", narrow), ("i16.ndm", wide), ("no-const-noise.ndm", without_maps())] {
        println!("{}  {name}", Hex(&hash_of_sixteen(bytes.bytes())?));
        fs::write(folder.join(name), bytes.bytes())?;
    }
    for (name, bytes, error) in refused() {
        assert_eq!(Pack::open(bytes.bytes()).err(), Some(error), "{name}");
        fs::write(folder.join(name), bytes.bytes())?;
    }
    Ok(())
}

/// The SHA-256 of 16 images with the pack's own noise, which is random for all of these.
fn hash_of_sixteen(bytes: &[u8]) -> Result<[u8; 32], Box<dyn Error>> {
    let pack = Pack::open(bytes)?;
    let mut hash = Sha256::new();
    for seed in 0..16 {
        let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Random(seed) };
        hash.update(&draw(&pack, &sample)?);
    }
    Ok(hash.finalize())
}

/// A pack without constant noise.
fn without_maps() -> Aligned {
    let (mut header, arrays) = random_header(&tiny(), 14);
    header.const_noise = false;
    for block in &mut header.blocks {
        block.conv1.noise_map = None;
        block.conv0.iter_mut().for_each(|conv| conv.noise_map = None);
    }
    assemble(&header, &arrays)
}

/// One pack for each reason to refuse it.
fn refused() -> Vec<(&'static str, Aligned, PackError)> {
    let good = random_pack(&tiny(), 3);
    let bytes = good.bytes();
    let with = |at: usize, byte: u8| {
        let mut pack = good.clone();
        pack.bytes_mut()[at] = byte;
        pack
    };
    // The mapping's table: one layer, its inputs and outputs, and then the width of its weights.
    let width = 67 + bytes[64..].windows(4).position(|part| part == [1, 3, 2, 0]).expect("the table of the tiny pack");
    let with_width = |number: u8| {
        let mut pack = with(width, number);
        rehash(&mut pack);
        pack
    };
    let changed = |change: fn(&mut Header<'static>)| {
        let (mut header, arrays) = random_header(&tiny(), 4);
        change(&mut header);
        assemble(&header, &arrays)
    };
    vec![
        ("truncated.ndm", Aligned::new(&bytes[..bytes.len() - 1]), PackError::Truncated),
        ("trailing-bytes.ndm", Aligned::new(&[bytes, &[0]].concat()), PackError::TrailingBytes),
        ("not-a-pack.ndm", with(0, 0), PackError::NotAPack),
        ("pack-format.ndm", with(8, 9), PackError::UnsupportedVersion(9)),
        ("damaged.ndm", with(70, 0xEE), PackError::HashMismatch),
        ("header.ndm", with_width(3), PackError::Header),
        ("four-bit-weights.ndm", with_width(2), PackError::FourBitWeights),
        ("architecture.ndm", changed(|header| header.z_dim += 1), PackError::Architecture),
        ("layout.ndm", changed(|header| header.constant += 4), PackError::Layout),
        ("scale.ndm", changed(|header| header.image_fraction = 9), PackError::Scale),
        ("overflow.ndm", overflowing(), PackError::Overflow),
    ]
}

/// A pack with an accumulator that could overflow: 9 * 64 taps of 127 times the largest modulated activation.
fn overflowing() -> Aligned {
    let (mut header, mut arrays): (_, PackBuilder) = random_header(&Shape { channels: vec![64, 4], ..tiny() }, 5);
    let at = header.blocks[0].conv1.weights as usize;
    arrays.arrays_mut()[at..at + 2 * 9 * 64].fill(127);
    header.blocks[0].conv1.modulation_shift = 15;
    assemble(&header, &arrays)
}
