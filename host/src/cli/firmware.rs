//! `nickeldime firmware`: builds firmware and writes it to a board.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nickeldime_boards::{BoardSpec, Load};
use serde::Serialize;

use super::key::trusted;
use crate::{
    boards::{
        self, build,
        flash::{self, Flashed},
    },
    keys::PublicKey,
};

/// Build or flash the firmware of a board.
#[derive(Debug, Args)]
pub struct FirmwareArgs {
    /// Build or flash.
    #[command(subcommand)]
    pub action: FirmwareAction,
}

/// The sub-commands of `firmware`.
#[derive(Debug, Subcommand)]
pub enum FirmwareAction {
    /// Build the firmware and print its path and size. Needs the source checkout that this program was built from.
    Build {
        /// The board.
        #[arg(long)]
        board: String,
        /// Load only packs that this key has signed; give the flag once for each key. A file that `key new` made, or
        /// another Ed25519 key in PEM.
        #[arg(long, value_name = "PUB")]
        trust: Vec<PathBuf>,
    },
    /// Build the firmware and write it to the board: to pico and pico2 by their boot loader's volume, to others through probe-rs.
    Flash {
        /// The board.
        #[arg(long)]
        board: String,
        /// The folder where the boot loader's volume is mounted. Default: found by its contents.
        #[arg(long, value_name = "DIR")]
        volume: Option<PathBuf>,
        /// Load only packs that this key has signed; give the flag once for each key.
        #[arg(long, value_name = "PUB")]
        trust: Vec<PathBuf>,
    },
}

#[derive(Serialize)]
struct Built {
    board: &'static str,
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    uf2: Option<PathBuf>,
    flash_bytes: u64,
    /// The flash that the board has for firmware, in bytes.
    flash_available: u32,
    ram_bytes: u64,
    /// The RAM that firmware may use, its stack included, in bytes.
    ram_available: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    flashed: Option<String>,
    /// The ids of the keys that packs must be signed with one of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted: Vec<String>,
}

/// Builds the firmware, flashes it if asked to, and prints the result.
///
/// # Errors
/// A tool, a target or a board is missing; the error says what to do.
pub fn run(args: &FirmwareArgs, json: bool) -> anyhow::Result<()> {
    let (FirmwareAction::Build { board, trust } | FirmwareAction::Flash { board, trust, .. }) = &args.action;
    let trust = trusted(trust)?;
    let board = boards::find(board)?;
    // The target is checked before a minute of building.
    let target = match &args.action {
        FirmwareAction::Build { .. } => None,
        FirmwareAction::Flash { volume, .. } => Some(flash::check(&board, volume.as_deref())?),
    };
    let firmware = build::build(board, &[], &trust)?;
    let uf2 = flash::uf2_file(&board, &firmware)?;
    let flashed = target.map(|target| target.write(&board, &firmware)).transpose()?;
    let built = Built {
        board: board.name(),
        uf2,
        flash_bytes: firmware.program.flash(),
        flash_available: board.sizes.program,
        ram_bytes: firmware.program.ram,
        ram_available: board.sizes.ram,
        flashed: flashed.map(|flashed| match flashed {
            Flashed::Volume(volume) => volume.display().to_string(),
            Flashed::Probe => "probe-rs".to_owned(),
        }),
        trusted: trust.iter().map(PublicKey::id).collect(),
        path: firmware.path,
    };
    super::print(json, &built, || text(&built, &board))
}

fn text(built: &Built, board: &BoardSpec) -> String {
    let Built { path, uf2, flash_bytes, flash_available, ram_bytes, ram_available, flashed, trusted, .. } = built;
    let share = |part: u64, all: u32| 100.0 * part as f64 / f64::from(all);
    let mut out = format!("{}\n", path.display());
    if let Some(uf2) = uf2 {
        out += &format!("{}\n", uf2.display());
    }
    out += &format!(
        "flash  {flash_bytes} of {flash_available} bytes ({:.1} %)\nRAM    {ram_bytes} of {ram_available} bytes ({:.1} %), the \
         buffers for images included; the rest is stack\n",
        share(*flash_bytes, *flash_available),
        share(*ram_bytes, *ram_available)
    );
    if !trusted.is_empty() {
        out += &format!("trusts  {}: loads only packs that one of them has signed\n", trusted.join(", "));
    }
    match (flashed, board.load) {
        (Some(_), Load::Uf2 { .. }) => {
            out += "written: the board starts it now; `nickeldime devices` finds its port\n";
        }
        (Some(_), _) => out += "written and started: `nickeldime devices` finds its port\n",
        (None, Load::Emulator) => {
            let trust = if trusted.is_empty() { "" } else { " --trust PUB" };
            out += &format!("`nickeldime emulate --board {}{trust}` runs it\n", board.name());
        }
        (None, _) => out += &format!("`nickeldime firmware flash --board {}` writes it\n", board.name()),
    }
    out
}
