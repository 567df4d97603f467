//! What can go wrong with a board's firmware, in words that say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Starting an emulated board, or building its firmware, failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BoardError {
    /// A board that is not known.
    #[error("no board is called {name}; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The emulator is not installed.
    #[error("{program} is not installed: `apt-get install {package}` (Debian, Ubuntu)")]
    NoEmulator {
        /// The program.
        program: &'static str,
        /// The package it is in.
        package: &'static str,
    },
    /// Nothing emulates this board.
    #[error("no emulator runs {board}: it needs the board itself (`nickeldime firmware flash --board {board}`)")]
    NotEmulated {
        /// The board.
        board: &'static str,
    },
    /// Nothing counts the instructions of this board.
    #[error("nothing counts the instructions of {board}: `nickeldime emulate --board qemu-m4 --count` does")]
    NotCounted {
        /// The board.
        board: &'static str,
    },
    /// The compiler lacks the board's target.
    #[error("the compiler lacks the target {target}: `rustup target add {target}`")]
    NoTarget {
        /// The target.
        target: &'static str,
    },
    /// Cargo or rustc do not start.
    #[error("{program} does not start ({cause}): building firmware needs the Rust tools, https://rustup.rs")]
    NoTools {
        /// The program.
        program: String,
        /// Why.
        cause: io::Error,
    },
    /// The firmware's source is not where this program was built.
    #[error("building firmware needs the checkout: no {} (was the source moved or deleted after the build?)", .path.display())]
    NoCheckout {
        /// What was looked for.
        path: PathBuf,
    },
    /// Cargo failed.
    #[error("the firmware does not build:\n{output}")]
    Build {
        /// What cargo said.
        output: String,
    },
    /// The emulator ended at once or did not say where its line is.
    #[error("{program} did not start the board: {said}")]
    Emulator {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A pseudo-terminal could not be made or used.
    #[error("cannot make a pseudo-terminal: {0}")]
    Pty(io::Error),
    /// A file could not be read.
    #[error("{}: {cause}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {cause}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The firmware is no ELF file that can be understood.
    #[error("{}: {what}", .path.display())]
    Elf {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is nothing to flash.
    #[error("{board} is an emulated board: `nickeldime emulate --board {board}` builds its firmware and runs it")]
    NotABoard {
        /// The board.
        board: &'static str,
    },
    /// No volume of a boot loader is mounted.
    #[error(
        "no {board} in its boot mode: hold its BOOTSEL button while you plug it in, wait for the volume RP2350 to be \
         mounted, and run this again{}", running(.ports)
    )]
    NoVolume {
        /// The board.
        board: &'static str,
        /// Ports at which a board of this kind runs already.
        ports: Vec<String>,
    },
    /// A boot loader's volume, of another chip.
    #[error(
        "{}: this is the boot loader of another board ({found}); {board} has an RP2350. Plug in the right one, or name \
         the board that you have with --board", .volume.display()
    )]
    WrongVolume {
        /// The board.
        board: &'static str,
        /// The volume.
        volume: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// A folder that is no boot loader's volume.
    #[error("{}: no boot loader's volume (it has no INFO_UF2.TXT). Hold BOOTSEL while you plug the board in", .volume.display())]
    NotAVolume {
        /// The folder.
        volume: PathBuf,
    },
    /// `probe-rs` does not start.
    #[error(
        "flashing {board} needs probe-rs, which does not start ({cause}): `cargo install probe-rs-tools --locked`, or \
         https://probe.rs/docs/getting-started/installation"
    )]
    NoProbeRs {
        /// The board.
        board: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// No debug probe is attached.
    #[error(
        "no debug probe is attached: connect {board} by its ST-Link USB socket (or the probe to its SWD pins), with a cable \
         that carries data. On Linux a user also needs the rules of https://probe.rs/docs/getting-started/probe-setup"
    )]
    NoProbe {
        /// The board.
        board: &'static str,
    },
    /// The chip at the probe is another one.
    #[error(
        "the chip at the probe is not {board}'s {chip} (it says device {found:#05x}, expected {expected:#05x}): attach the \
         right board, or name the one that you have with --board"
    )]
    WrongChip {
        /// The board.
        board: &'static str,
        /// Its chip.
        chip: &'static str,
        /// What the chip says.
        found: u32,
        /// What this board's would say.
        expected: u32,
    },
    /// `probe-rs` failed in another way.
    #[error(
        "probe-rs failed: {said}. Is the board powered, and is no other debugger open? If it names another chip, this is not \
         {board}"
    )]
    Probe {
        /// The board.
        board: &'static str,
        /// What it said.
        said: String,
    },
    /// Emulated boards need pseudo-terminals.
    #[error("emulated boards need a Unix system")]
    NotHere,
}

fn running(ports: &[String]) -> String {
    match ports {
        [] => String::new(),
        ports => format!(". (One that runs is at {}: unplug that first)", ports.join(", ")),
    }
}
