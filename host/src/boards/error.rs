//! Errors of a board's firmware, with texts that say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An emulated board did not start, or building or flashing firmware failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BoardError {
    /// A board that is not known.
    #[error("no board is called {name}; there are: {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names of all boards.
        known: String,
    },
    /// The emulator is not installed.
    #[error("{program} is not installed: `apt-get install {package}` (Debian, Ubuntu)")]
    NoEmulator {
        /// The name of the program.
        program: &'static str,
        /// The package that contains it.
        package: &'static str,
    },
    /// No emulator runs this board.
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
    /// The emulator's package could not be installed.
    #[error("npm did not install {package}, which emulates {board}: {said}")]
    NoPackage {
        /// The board.
        board: &'static str,
        /// The package and its version.
        package: &'static str,
        /// What npm said.
        said: String,
    },
    /// Node.js is too old.
    #[error("node is {found}; the emulator of pico needs version {needed} or newer: https://nodejs.org")]
    OldNode {
        /// The version that was found.
        found: String,
        /// The major version that is needed.
        needed: u32,
    },
    /// The compiler lacks the board's target.
    #[error("the compiler lacks the target {target}: `rustup target add {target}`")]
    NoTarget {
        /// The target.
        target: &'static str,
    },
    /// Cargo or rustc does not start.
    #[error("{program} does not start ({cause}): building firmware needs the Rust tools, https://rustup.rs")]
    NoTools {
        /// The program.
        program: String,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The source of the firmware is not at the place where this program was built.
    #[error("building firmware needs the checkout: no {} (was the source moved or deleted after the build?)", .path.display())]
    NoCheckout {
        /// The path that was looked for.
        path: PathBuf,
    },
    /// Cargo failed.
    #[error("the firmware does not build:\n{output}")]
    Build {
        /// The output of cargo.
        output: String,
    },
    /// The emulator ended at once, or did not say where its serial line is.
    #[error("{program} did not start the board: {said}")]
    Emulator {
        /// The program.
        program: &'static str,
        /// The output of the emulator.
        said: String,
    },
    /// A pseudo-terminal could not be made or used.
    #[error("cannot make a pseudo-terminal: {0}")]
    Pty(io::Error),
    /// A file could not be read.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {cause}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// The firmware is not a valid ELF file.
    #[error("{}: {what}", .path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// A description of the problem.
        what: String,
    },
    /// The board exists as an emulator only, so there is nothing to flash.
    #[error("{board} is an emulated board: `nickeldime emulate --board {board}` builds its firmware and runs it")]
    NotABoard {
        /// The board.
        board: &'static str,
    },
    /// No boot loader's volume is mounted.
    #[error(
        "no {board} in its boot mode: hold its BOOTSEL button while you plug it in, wait for the volume {id} to be \
         mounted, and run this again{}", running(.ports)
    )]
    NoVolume {
        /// The board.
        board: &'static str,
        /// The board id on its volume, which is the volume's name too.
        id: &'static str,
        /// Ports at which a board of this kind is running already.
        ports: Vec<String>,
    },
    /// The boot loader's volume belongs to another chip.
    #[error(
        "{}: this is the boot loader of another board ({found}); {board} has {id}. Plug in the right one, or name \
         the board that you have with --board", .volume.display()
    )]
    WrongVolume {
        /// The board.
        board: &'static str,
        /// The board id that its volume would have.
        id: &'static str,
        /// The volume.
        volume: PathBuf,
        /// The board id on the volume.
        found: String,
    },
    /// The folder is not a boot loader's volume.
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
        /// The error of the operating system.
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
    /// The chip at the debug probe is not the board's.
    #[error(
        "the chip at the probe is not {board}'s {chip} (it says device {found:#05x}, expected {expected:#05x}): attach the \
         right board, or name the one that you have with --board"
    )]
    WrongChip {
        /// The board.
        board: &'static str,
        /// The board's chip.
        chip: &'static str,
        /// The device id of the attached chip.
        found: u32,
        /// The device id of the board's chip.
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
        /// The output of `probe-rs`.
        said: String,
    },
    /// Emulated boards need pseudo-terminals, which this system does not have.
    #[error("emulated boards need a Unix system")]
    NotHere,
}

fn running(ports: &[String]) -> String {
    match ports {
        [] => String::new(),
        ports => format!(". (One that runs is at {}: unplug that first)", ports.join(", ")),
    }
}
