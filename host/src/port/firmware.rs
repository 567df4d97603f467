//! Builds a board's firmware from the checkout that this program was built from.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use nickeldime_firmware::sizes::{self, Sizes};

use super::error::BoardError;

/// A board that has firmware: its name is also its cargo feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareBoard {
    /// Its name, and what it has room for.
    pub sizes: Sizes,
    /// What it is, in words for a summary.
    pub description: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// The emulator that runs it.
    pub emulator: Option<Emulator>,
}

/// An emulator of a board: QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulator {
    /// The program.
    pub program: &'static str,
    /// The machine, and what else makes it the board.
    pub machine: &'static [&'static str],
    /// Cargo features beside the board's.
    pub features: &'static [&'static str],
}

/// The boards that there is firmware for.
pub const FIRMWARE_BOARDS: [FirmwareBoard; 4] = [
    FirmwareBoard {
        sizes: sizes::QEMU_M4,
        description: "firmware on an emulated Cortex-M4 (QEMU mps2-an386)",
        target: "thumbv7em-none-eabihf",
        emulator: Some(Emulator { program: ARM, machine: &["mps2-an386"], features: &[] }),
    },
    FirmwareBoard {
        sizes: sizes::QEMU_RV32,
        description: "firmware on an emulated RISC-V (QEMU virt, RV32IMAC)",
        target: "riscv32imac-unknown-none-elf",
        emulator: Some(Emulator { program: "qemu-system-riscv32", machine: &["virt", "-bios", "none"], features: &[] }),
    },
    FirmwareBoard {
        sizes: sizes::QEMU_M0,
        description: "firmware on an emulated Cortex-M0 with 64 kB of RAM (QEMU lm3s6965evb)",
        target: "thumbv6m-none-eabi",
        emulator: Some(Emulator { program: ARM, machine: &["lm3s6965evb", "-cpu", "cortex-m0"], features: &[] }),
    },
    FirmwareBoard {
        sizes: sizes::STM32F405,
        description: "an STM32F405; emulated by QEMU's netduinoplus2, with packs in RAM",
        target: "thumbv7em-none-eabihf",
        emulator: Some(Emulator { program: ARM, machine: &["netduinoplus2"], features: &["emulated"] }),
    },
];

const ARM: &str = "qemu-system-arm";

impl FirmwareBoard {
    /// Its name, as in `--board`.
    pub const fn name(&self) -> &'static str {
        self.sizes.name
    }
}

/// Firmware that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The ELF file.
    pub path: PathBuf,
    /// Bytes of code and constants.
    pub flash: u64,
    /// Bytes of static RAM, the board's buffers included.
    pub ram: u64,
}

/// Finds a board by name.
///
/// # Errors
/// [`BoardError::Unknown`], with the names there are.
pub fn find(name: &str) -> Result<FirmwareBoard, BoardError> {
    FIRMWARE_BOARDS.into_iter().find(|board| board.name() == name).ok_or_else(|| BoardError::Unknown {
        name: name.to_owned(),
        known: FIRMWARE_BOARDS.map(|board| board.name()).join(", "),
    })
}

/// Whether the firmware of `board` can be built here.
///
/// # Errors
/// What is missing, and how to install it.
pub fn check(board: FirmwareBoard) -> Result<(), BoardError> {
    checkout()?;
    check_target(board.target)
}

/// Builds the firmware of `board`, with cargo features beside its own; quick when nothing has changed.
///
/// # Errors
/// [`BoardError`]: what is missing, or what the compiler said.
pub fn build(board: FirmwareBoard, features: &[&str]) -> Result<Firmware, BoardError> {
    build_program(board, "nickeldime-firmware", features)
}

/// Builds a program of the firmware's package for `board`.
pub(super) fn build_program(board: FirmwareBoard, program: &str, features: &[&str]) -> Result<Firmware, BoardError> {
    let checkout = checkout()?;
    check_target(board.target)?;
    let features = [&[board.name()], features].concat().join(",");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--quiet", "--package", "nickeldime-firmware", "--bin", program])
        .args(["--profile", "firmware"])
        .args(["--target", board.target, "--features", &features])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(checkout.join("Cargo.toml"))
        // A relative CARGO_TARGET_DIR is the checkout's, wherever this program runs.
        .current_dir(&checkout)
        // Flags meant for this computer (target-cpu=native, say) do not fit the board.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|cause| BoardError::NoTools { program: cargo.to_string_lossy().into_owned(), cause })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(BoardError::Build { output: last_lines(&said, 40) });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = executable(&messages)
        .ok_or_else(|| BoardError::Build { output: "cargo did not say where it put the firmware".to_owned() })?;
    let elf = fs::read(&path).map_err(|cause| BoardError::File { path: path.clone(), cause })?;
    let (flash, ram) = sizes(&elf).unwrap_or_default();
    Ok(Firmware { path, flash, ram })
}

/// The checkout that this program was built from.
fn checkout() -> Result<PathBuf, BoardError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = root.join("firmware").join("Cargo.toml");
    if manifest.is_file() { Ok(root) } else { Err(BoardError::NoCheckout { path: manifest }) }
}

/// Asks the compiler for the target's library: without it cargo would fail with pages of errors.
fn check_target(target: &'static str) -> Result<(), BoardError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", target])
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| BoardError::NoTools { program: rustc.to_string_lossy().into_owned(), cause })?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && library.is_dir() { Ok(()) } else { Err(BoardError::NoTarget { target }) }
}

/// The executable in cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

/// Bytes in flash and in RAM, from the program headers of a 32-bit little-endian ELF file: what is loaded lies in flash,
/// what has a run-time address in RAM (0x2000_0000 and up on every Cortex-M) takes RAM.
fn sizes(elf: &[u8]) -> Option<(u64, u64)> {
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?));
    let (table, size, count) = (word(28)? as usize, usize::from(half(42)?), usize::from(half(44)?));
    let (mut flash, mut ram) = (0, 0);
    for i in 0..count {
        let header = table.checked_add(i * size)?;
        const LOAD: u32 = 1;
        if word(header)? == LOAD {
            flash += u64::from(word(header + 16)?);
            if word(header + 8)? >= 0x2000_0000 {
                ram += u64::from(word(header + 20)?);
            }
        }
    }
    Some((flash, ram))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
