//! `nickeldime bench`: measures the cost of an image.

use std::{fmt::Write, ops::ControlFlow, path::PathBuf, time::Instant};

use anyhow::{Context, bail};
use nickeldime_checkpoint::{
    GeneratorWeights,
    model::{arch::GeneratorArch, initial},
};
use nickeldime_core::{
    generator::{Latent, Noise, Sample, generate},
    pack::Pack,
};
use serde::Serialize;

use super::model::ModelFile;
use crate::{
    draw::{NoiseMode, Preview},
    emulate::on_target::{self, ImageCost, Kernels, MeasuredLayer, OnTarget, Stage},
    quantise::{LOOKS, PackOptions, write_pack},
};

/// The number of images that the host's measurement draws.
const IMAGES: u64 = 64;
/// Number of measurements of each kind of kernels; the fastest counts.
const ROUNDS: usize = 5;
/// The number of latents that calibrate packs of random weights. It does not change their cost.
const CALIBRATION_SEEDS: u64 = 4;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// The emulated board whose instructions are counted, or `host` to measure images per second on one core of this
    /// computer.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(on_target::boards().into_iter().chain(["host"])))]
    board: String,
    /// The pack to measure. Default: random weights of paper256 at ratios 0.95 and 0.9, or of digits32 at 0.7 on the
    /// host.
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Use the portable kernels, which run on every processor.
    #[arg(long)]
    portable: bool,
}

/// The costs of single layers and of whole images.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Counted {
    board: String,
    kernels: &'static str,
    layers: Vec<MeasuredLayer>,
    /// The cost of the image of the first seed.
    image: ImageCost,
    images: Vec<CountedImage>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct CountedImage {
    name: String,
    #[serde(flatten)]
    cost: ImageCost,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Timed {
    board: &'static str,
    name: String,
    images: u64,
    seconds: f64,
    images_per_second: f64,
    /// Images per second with the portable kernels, in the same run.
    portable_images_per_second: f64,
    /// Ratio of the speeds with the selected and with the portable kernels.
    ratio: f64,
}

pub fn run(args: &BenchArgs, json: bool) -> anyhow::Result<()> {
    if args.board == "host" {
        if args.portable {
            bail!("--portable: on the host both kinds of kernels are measured in one run");
        }
        let timed = time(args)?;
        return super::print(json, &timed, || timed.text());
    }
    let kernels = if args.portable { Kernels::Portable } else { Kernels::Own };
    let target = OnTarget::build(&args.board, kernels)?;
    let images = packs(args, &[("paper256", 0.95), ("paper256", 0.9)])?
        .into_iter()
        .map(|(name, pack)| Ok(CountedImage { name, cost: target.image(&pack)?, stages: target.stages(&pack)? }))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let image = images.first().context("no pack to measure")?.cost;
    let board = args.board.clone();
    let counted = Counted { board, kernels: target.kernels(), layers: target.layers()?, image, images };
    super::print(json, &counted, || counted.text())
}

/// The pack that was asked for, or packs of random weights, each with a name.
fn packs(args: &BenchArgs, otherwise: &[(&str, f64)]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let Some(path) = &args.pack else {
        return otherwise.iter().map(|&(arch, ratio)| random_pack(arch, ratio)).collect();
    };
    match ModelFile::open(path)? {
        ModelFile::Pack(bytes) => Ok(vec![(path.display().to_string(), bytes)]),
        ModelFile::Checkpoint(_) => bail!("{}: is no pack; make one: nickeldime pack", path.display()),
    }
}

fn random_pack(arch: &str, ratio: f64) -> anyhow::Result<(String, Vec<u8>)> {
    let name = format!("{arch}, ratio {ratio}");
    let arch = GeneratorArch::preset(arch).context("a preset")?.pruned(ratio)?;
    let weights: GeneratorWeights = initial::like_trained(&arch, 0);
    let seeds: Vec<u64> = (0..CALIBRATION_SEEDS).collect();
    let calibration = Preview::new(&weights)?.calibrate(&seeds, LOOKS, NoiseMode::Random, &mut |_| {});
    Ok((name, write_pack(&weights, &calibration, &PackOptions::for_noise(NoiseMode::Random))?.bytes))
}

/// Measures images per second on one core.
fn time(args: &BenchArgs) -> anyhow::Result<Timed> {
    let (name, bytes) = packs(args, &[("digits32", 0.7)])?.pop().context("no pack to measure")?;
    let pack = Pack::open(&bytes)?;
    let mut workspace = vec![0; pack.workspace_len()];
    let mut draw = |seed| {
        let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Random(seed) };
        generate(&pack, &sample, &mut workspace, &mut |_, _| ControlFlow::Continue(()))
    };
    // The two kinds alternate, so that other load on the computer slows both.
    let mut seconds = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (portable, best) in [false, true].into_iter().zip(&mut seconds) {
            use_portable(portable);
            draw(0)?;
            let started = Instant::now();
            for seed in 0..IMAGES {
                draw(seed)?;
            }
            *best = best.min(started.elapsed().as_secs_f64());
        }
    }
    use_portable(false);
    let rate = |seconds: f64| IMAGES as f64 / seconds;
    let [own, portable] = seconds;
    Ok(Timed {
        board: "host",
        name,
        images: IMAGES,
        seconds: own,
        images_per_second: rate(own),
        portable_images_per_second: rate(portable),
        ratio: portable / own,
    })
}

/// Makes this computer run the portable kernels, or its own kernels if it has any.
fn use_portable(portable: bool) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    nickeldime_core::kernel::simd::use_portable(portable);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = portable;
}

impl Timed {
    fn text(&self) -> String {
        let Self { name, images, images_per_second, portable_images_per_second, ratio, .. } = self;
        format!(
            "{name}: {images_per_second:.1} images a second on one core ({images} images), {ratio:.2} times the \
             {portable_images_per_second:.1} with the portable kernels"
        )
    }
}

impl Counted {
    fn text(&self) -> String {
        let mut text = format!("3x3 layers, {} kernels            instructions   per MAC\n", self.kernels);
        for layer in &self.layers {
            let _ = writeln!(text, "{:36} {:>12} {:9.2}", layer.name, layer.instructions, layer.per_mac);
        }
        for CountedImage { name, cost, stages } in &self.images {
            let million = |instructions: u64| instructions as f64 / 1e6;
            let share = 100.0 * cost.request_first_row_instructions as f64 / cost.request_instructions as f64;
            let parts = cost.instructions + cost.mapping_instructions + cost.hash_instructions;
            let _ = write!(
                text,
                "\n{name}\n  {:.2} M instructions from a request to the last row, {share:.1} % of them to the first: {:.2} M from a \
                 seed to w, {:.2} M from w to the rows, {:.2} M to hash the rows, {:.2} M to open the pack and to frame the \
                 rows\n  {:.2} M to verify the pack, once at a start and once when it is committed\n  \
                 RAM {} bytes: {} and a stack of {}\n",
                million(cost.request_instructions),
                million(cost.mapping_instructions),
                million(cost.instructions),
                million(cost.hash_instructions),
                million(cost.request_instructions.saturating_sub(parts)),
                million(cost.verification_instructions),
                cost.ram_bytes + cost.stack_bytes,
                cost.ram_bytes,
                cost.stack_bytes
            );
            for stage in stages {
                let _ = writeln!(text, "  {:36} {:8.2} M", stage.name, million(stage.instructions));
            }
        }
        text
    }
}
