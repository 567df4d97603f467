//! `nickeldime doctor`: checks a backend's results and measures its speed.

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use nickeldime_checkpoint::model::arch::GeneratorArch;
use serde::Serialize;

use super::progress::say;
use crate::{
    backend::{BackendKind, with_backend},
    doctor::{
        golden::{self, Check},
        speed::{self, Speed, SpeedLoad},
    },
};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct DoctorArgs {
    /// The backend to check.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// The architecture whose training iteration is timed.
    #[arg(long, default_value = "digits32", value_parser = PossibleValuesParser::new(GeneratorArch::PRESETS))]
    arch: String,
    /// The share of the channels that the student lacks.
    #[arg(long, default_value_t = 0.85)]
    ratio: f64,
    /// The batch size.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// The number of iterations to time, after one that is not timed; 0 times nothing.
    #[arg(long, default_value_t = 16)]
    iterations: u32,
}

#[derive(Serialize)]
struct Health {
    backend: BackendKind,
    tolerance: f64,
    checks: Vec<Check>,
    #[serde(flatten)]
    speed: Option<Speed>,
}

pub fn run(args: &DoctorArgs, json: bool) -> anyhow::Result<()> {
    let backend = args.backend;
    let dense = GeneratorArch::preset(&args.arch).context("a preset's name")?;
    let load = SpeedLoad { arch: args.arch.clone(), ratio: args.ratio, batch: args.batch, iterations: args.iterations };
    let health = with_backend!(backend, A => {
        let device = Default::default();
        say(format_args!("computing golden numbers on {}", backend.name()));
        let checks = golden::checks::<A>(&device)?;
        let time = || {
            say(format_args!("training random {} networks for {} iterations", load.arch, load.iterations));
            speed::measure::<A>(&dense, load, &device)
        };
        let speed = (args.iterations > 0).then(time).transpose()?;
        Health { backend, tolerance: tolerance(backend), checks, speed }
    });
    super::print(json, &health, || health.text())?;
    let wrong: Vec<_> = health.checks.iter().filter(|check| !check.within(health.tolerance)).collect();
    ensure!(wrong.is_empty(), "{} computes wrong: {}", backend.name(), names(&wrong));
    Ok(())
}

/// The largest relative error that is accepted. GPUs round the factors of matrix products to 10 bits (TF32).
fn tolerance(backend: BackendKind) -> f64 {
    if backend == BackendKind::Cuda { 2e-2 } else { 1e-4 }
}

fn names(checks: &[&Check]) -> String {
    checks.iter().map(|check| check.name).collect::<Vec<_>>().join(", ")
}

impl Health {
    fn text(&self) -> String {
        let mut text =
            format!("{}, largest errors relative to the largest entry of each tensor:\n", self.backend.name());
        for check in &self.checks {
            let error = check.largest_error.map_or("not finite".into(), |error| format!("{error:.1e}"));
            let mark = if check.within(self.tolerance) { "" } else { "   WRONG" };
            text += &format!("  {:<20}{error:>10}  of {} tensors ({}){mark}\n", check.name, check.tensors, check.of);
        }
        if let Some(Speed { load, images_per_second, images_per_cpu_second, milliseconds }) = &self.speed {
            text += &format!(
                "training {} at batch {}: {images_per_second:.1} images/s, {images_per_cpu_second:.1} for each CPU second\n",
                load.arch, load.batch
            );
            for (phase, milliseconds) in milliseconds {
                let phase = format!("{phase:?}").to_lowercase();
                text += &format!("  {phase:<20}{milliseconds:>10.2} ms an iteration\n");
            }
        }
        text
    }
}
