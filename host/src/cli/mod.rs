//! The command line: one file a sub-command, each parses, calls, prints.
//!
//! Results go to standard output (one JSON object with `--json`), progress and errors to standard error. Exit codes: 0 done,
//! 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.

mod bench;
mod compress;
mod demo;
mod devices;
mod doctor;
mod embedder;
mod emulate;
mod erase;
mod eval;
mod firmware;
mod import;
mod inspect;
mod live;
mod model;
mod moments;
mod new;
mod pack;
mod progress;
#[cfg(test)]
mod readme;
mod report;
mod sample;
mod send;
mod source;
mod train;
mod training;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{compress::error::CompressError, draw::DrawError};

/// Compress a StyleGAN2 generator, quantise it, ship it over serial, and generate images on a microcontroller.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// Print one machine-readable JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole journey on shipped data: prune, distil, quantise, ship, draw on the (emulated) device.
    Demo(demo::DemoArgs),
    /// What a model or architecture consists of and costs.
    Inspect(inspect::InspectArgs),
    /// Turn a StyleGAN2-ADA .pkl into safetensors.
    Import(import::ImportArgs),
    /// A generator of random weights, of any architecture: for sizing and benchmarks.
    New(new::NewArgs),
    /// Train a teacher from scratch.
    Train(train::TrainArgs),
    /// Train a small embedder on the images themselves.
    Embedder(embedder::EmbedderArgs),
    /// Measure a teacher's global moments, once for many compressions.
    Moments(moments::MomentsArgs),
    /// Prune a teacher and distil it: NICKEL & DiME.
    Compress(compress::CompressArgs),
    /// Quantise a generator into a model pack for a device.
    Pack(pack::PackArgs),
    /// Measure images against images: FID, KID, precision and recall.
    Eval(eval::EvalArgs),
    /// Show what runs have done: plots, grids and numbers on one HTML page.
    Report(report::ReportArgs),
    /// Draw images from a checkpoint, a pack, or a device.
    Sample(sample::SampleArgs),
    /// What an image costs: instructions and RAM on the emulated processor, or time here.
    Bench(bench::BenchArgs),
    /// Build the firmware of a board.
    Firmware(firmware::FirmwareArgs),
    /// Is a backend right, and how fast is it here?
    Doctor(doctor::DoctorArgs),
    /// Which serial ports answer, and what they run.
    Devices(devices::DevicesArgs),
    /// Ship a model pack to a device.
    Send(send::SendArgs),
    /// Erase a device's storage, its model included.
    Erase(erase::EraseArgs),
    /// Walk through a device's latent space in the terminal.
    Live(live::LiveArgs),
    /// Run a board without a board; prints its port.
    Emulate(emulate::EmulateArgs),
}

/// Runs the command; errors are one line on standard error.
pub fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    let result = match command {
        Command::Demo(args) => demo::run(&args, json),
        Command::Inspect(args) => inspect::run(&args, json),
        Command::Import(args) => import::run(&args, json),
        Command::New(args) => new::run(&args, json),
        Command::Train(args) => train::run(&args, json),
        Command::Embedder(args) => embedder::run(&args, json),
        Command::Moments(args) => moments::run(&args, json),
        Command::Compress(args) => compress::run(&args, json),
        Command::Pack(args) => pack::run(&args, json),
        Command::Eval(args) => eval::run(&args, json),
        Command::Report(args) => report::run(&args, json),
        Command::Sample(args) => sample::run(&args, json),
        Command::Bench(args) => bench::run(&args, json),
        Command::Firmware(args) => firmware::run(&args, json),
        Command::Doctor(args) => doctor::run(&args, json),
        Command::Devices(args) => devices::run(&args, json),
        Command::Send(args) => send::run(&args, json),
        Command::Erase(args) => erase::run(&args, json),
        Command::Live(args) => live::run(&args, json),
        Command::Emulate(args) => emulate::run(&args, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes are part of the sentence: `{:#}` joins them with colons.
            progress::say(format_args!("error: {error:#}"));
            let stopped = error.is::<Interrupted>()
                || matches!(error.downcast_ref(), Some(CompressError::Stopped))
                || matches!(error.downcast_ref(), Some(DrawError::Stopped));
            ExitCode::from(if stopped { 130 } else { 1 })
        }
    }
}

/// Height and width of an image, as a flag's value.
fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (1..=1024).contains(size));
    size.ok_or_else(|| "must be between 1 and 1024".into())
}

/// The user pressed Ctrl-C; what was saved is said in the text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Interrupted(String);

/// Prints the one result of a command: as JSON, or as `text`.
fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let line = if json { serde_json::to_string(value)? } else { text() };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line.trim_end())?;
    Ok(out.flush()?)
}
