//! `nickeldime doctor`: is a backend right, and how fast is it here?

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use crate::{
    backend::CpuTraining,
    doctor::speed::{self, Load, Speed},
    nets::arch::GeneratorArch,
};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct DoctorArgs {
    /// The architecture whose training iteration is timed.
    #[arg(long, default_value = "digits32", value_parser = PossibleValuesParser::new(GeneratorArch::PRESETS))]
    arch: String,
    /// Share of the channels that the student lacks.
    #[arg(long, default_value_t = 0.85)]
    ratio: f64,
    /// Images an iteration.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Iterations to time, after one that is not; 0 times nothing.
    #[arg(long, default_value_t = 16)]
    iterations: u32,
}

#[derive(Serialize)]
struct Health {
    backend: &'static str,
    #[serde(flatten)]
    speed: Speed,
}

pub fn run(args: &DoctorArgs, json: bool) -> anyhow::Result<()> {
    let dense = GeneratorArch::preset(&args.arch).context("a preset's name")?;
    let load = Load { arch: args.arch.clone(), ratio: args.ratio, batch: args.batch, iterations: args.iterations };
    let speed = speed::measure::<CpuTraining>(&dense, load, &Default::default())?;
    let health = Health { backend: "flex", speed };
    super::print(json, &health, || {
        let Speed { load, images_per_second, milliseconds } = &health.speed;
        let mut text = format!("{} at batch {}: {images_per_second:.1} images/s\n", load.arch, load.batch);
        for (phase, milliseconds) in milliseconds {
            text += &format!("  {:<10}{milliseconds:>9.2} ms an iteration\n", format!("{phase:?}").to_lowercase());
        }
        text
    })
}
