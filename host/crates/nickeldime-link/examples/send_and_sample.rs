//! Sends a pack to a board, has it draw the seeds 0 to 15, and prints the SHA-256 of their pixels, which is that of
//! `nickeldime sample PACK --seed 0..15`. Usage: `send_and_sample PORT PACK`

use std::error::Error;
use std::ops::ControlFlow;
use std::{env, fs};

use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::hash::Sha256;
use nickeldime_core::hex::Hex;
use nickeldime_core::pack::{NoiseKind, Pack};
use nickeldime_link::Client;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, path] = &arguments[..] else { return Err("usage: send_and_sample PORT PACK".into()) };
    let bytes = fs::read(path)?;
    let kind = Pack::open(&bytes)?.noise_default();
    let mut board = Client::open(port)?;
    board.upload(&bytes, &mut |_, _| {})?;
    let mut hash = Sha256::new();
    for seed in 0..16 {
        let noise = match kind {
            NoiseKind::None => Noise::None,
            NoiseKind::Const => Noise::Const,
            NoiseKind::Random => Noise::Random(seed),
        };
        let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise };
        hash.update(&board.sample(&sample, &mut |_, _| ControlFlow::Continue(()))?.pixels);
    }
    println!("{}  {}", Hex(&hash.finalize()), board.board().board);
    Ok(())
}
