//! `nickeldime firmware`: builds what runs on a board, and brings it there.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nickeldime_boards::{BoardSpec, Load};
use serde::Serialize;

use crate::boards::{
    self, build,
    flash::{self, Flashed},
};

/// Build or flash the firmware of a board.
#[derive(Debug, Args)]
pub struct FirmwareArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: FirmwareAction,
}

/// What can be done with firmware.
#[derive(Debug, Subcommand)]
pub enum FirmwareAction {
    /// Build it, and say where it is and how large. Needs the checkout that this program was built from.
    Build {
        /// The board.
        #[arg(long)]
        board: String,
    },
    /// Build it and write it to the board: pico2 by its boot loader's volume, others through probe-rs.
    Flash {
        /// The board.
        #[arg(long)]
        board: String,
        /// The boot loader's volume; looked for unless given.
        #[arg(long, value_name = "DIR")]
        volume: Option<PathBuf>,
    },
}

#[derive(Serialize)]
struct Built {
    board: &'static str,
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    uf2: Option<PathBuf>,
    flash_bytes: u64,
    /// Flash that the board has for firmware.
    flash_available: u32,
    ram_bytes: u64,
    /// RAM that firmware may take, its stack included.
    ram_available: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    flashed: Option<String>,
}

/// Builds, flashes when that is asked for, and says what came of it.
///
/// # Errors
/// What is missing, and what to do about it.
pub fn run(args: &FirmwareArgs, json: bool) -> anyhow::Result<()> {
    let (FirmwareAction::Build { board } | FirmwareAction::Flash { board, .. }) = &args.action;
    let board = boards::find(board)?;
    // Before a minute of building.
    let target = match &args.action {
        FirmwareAction::Build { .. } => None,
        FirmwareAction::Flash { volume, .. } => Some(flash::check(&board, volume.as_deref())?),
    };
    let firmware = build::build(board, &[])?;
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
        path: firmware.path,
    };
    super::print(json, &built, || text(&built, &board))
}

fn text(built: &Built, board: &BoardSpec) -> String {
    let Built { path, uf2, flash_bytes, flash_available, ram_bytes, ram_available, flashed, .. } = built;
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
    match (flashed, board.load) {
        (Some(_), Load::Uf2 { .. }) => {
            out += "written: the board starts it now; `nickeldime devices` finds its port\n";
        }
        (Some(_), _) => out += "written and started: `nickeldime devices` finds its port\n",
        (None, Load::Emulator) => out += &format!("`nickeldime emulate --board {}` runs it\n", board.name()),
        (None, _) => out += &format!("`nickeldime firmware flash --board {}` writes it\n", board.name()),
    }
    out
}
