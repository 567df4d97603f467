//! The command line, with one file for each sub-command. Each file parses arguments, calls the library and prints the
//! result.
//!
//! Results go to standard output (one JSON object with `--json`), progress and errors to standard error. Exit codes: 0 done,
//! 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.

mod bench;
mod completions;
mod compress;
mod demo;
mod devices;
mod doctor;
mod embedder;
mod emulate;
mod erase;
mod eval;
mod firmware;
mod images;
mod import;
mod inspect;
mod key;
mod live;
mod model;
mod moments;
mod new;
mod outputs;
mod pack;
mod progress;
#[cfg(test)]
mod readme;
mod report;
mod sample;
mod seeds;
mod send;
mod source;
mod train;
mod training;
mod version;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{compress::error::CompressError, draw::DrawError, quantise::PackingError};

/// Compress a StyleGAN2 generator, quantise it, send it over serial, and generate images on a microcontroller.
#[derive(Parser)]
#[command(version, long_version = version::long(), arg_required_else_help = true)]
struct Cli {
    /// Print one machine-readable JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole journey on built-in data: prune, distil, quantise, send, and draw on an emulated device.
    Demo(demo::DemoArgs),
    /// Show the layers and costs of a model or architecture.
    Inspect(inspect::InspectArgs),
    /// Convert a StyleGAN2-ADA .pkl to safetensors.
    Import(import::ImportArgs),
    /// Write a generator of random weights, of any architecture, for sizing and benchmarks.
    New(new::NewArgs),
    /// Train a teacher from scratch.
    Train(train::TrainArgs),
    /// Train a small embedder on your own images.
    Embedder(embedder::EmbedderArgs),
    /// Measure a teacher's global moments once, for many compressions.
    Moments(moments::MomentsArgs),
    /// Prune a teacher and distil it with NICKEL & DiME.
    Compress(compress::CompressArgs),
    /// Quantise a generator into a model pack for a device.
    Pack(pack::PackArgs),
    /// Compare two sets of images: FID, KID, precision and recall.
    Eval(eval::EvalArgs),
    /// Write a report about runs: plots, grids and numbers on one HTML page.
    Report(report::ReportArgs),
    /// Draw images from a checkpoint, a pack, or a device.
    Sample(sample::SampleArgs),
    /// Measure what an image costs: instructions and RAM on an emulated processor, or time on this computer.
    Bench(bench::BenchArgs),
    /// Build or flash the firmware of a board.
    Firmware(firmware::FirmwareArgs),
    /// Make and show keys that sign packs.
    Key(key::KeyArgs),
    /// Check the results of a backend, and measure its speed on this computer.
    Doctor(doctor::DoctorArgs),
    /// List the boards that answer on serial ports, and what they run.
    Devices(devices::DevicesArgs),
    /// Send a model pack to a device.
    Send(send::SendArgs),
    /// Erase a device's storage, including its model.
    Erase(erase::EraseArgs),
    /// Walk through the latent space of a device's model, or of a pack, in the terminal.
    Live(live::LiveArgs),
    /// Run an emulated board and print its port.
    Emulate(emulate::EmulateArgs),
    /// Print a completion script for a shell, or write manual pages.
    Completions(completions::CompletionsArgs),
}

/// Parses the command line and runs the command. An error is printed as one line on standard error.
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
        Command::Key(args) => key::run(&args, json),
        Command::Doctor(args) => doctor::run(&args, json),
        Command::Devices(args) => devices::run(&args, json),
        Command::Send(args) => send::run(&args, json),
        Command::Erase(args) => erase::run(&args, json),
        Command::Live(args) => live::run(&args, json),
        Command::Emulate(args) => emulate::run(&args, json),
        Command::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes are part of the sentence, so `{:#}` joins them with colons.
            progress::say(format_args!("error: {error:#}"));
            let stopped = error.is::<Interrupted>()
                || matches!(error.downcast_ref(), Some(CompressError::Stopped))
                || matches!(error.downcast_ref(), Some(DrawError::Stopped))
                || matches!(error.downcast_ref(), Some(PackingError::Draw(DrawError::Stopped)));
            ExitCode::from(if stopped { 130 } else { 1 })
        }
    }
}

/// Parses the height and width of an image from a flag's value.
fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (1..=1024).contains(size));
    size.ok_or_else(|| "must be between 1 and 1024".into())
}

/// The user pressed Ctrl-C. The text says what was saved.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Interrupted(String);

/// Prints the result of a command, as JSON or as `text`.
fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let line = if json { serde_json::to_string(value)? } else { text() };
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", line.trim_end()).and_then(|()| out.flush()) {
        // A reader that has seen enough and left, as `head` does, is no error.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
