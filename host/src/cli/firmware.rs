//! `nickeldime firmware`: builds what runs on a board.

use clap::{Args, Subcommand};

use crate::port::firmware;

/// Build the firmware of a board.
#[derive(Debug, Args)]
pub struct FirmwareArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: FirmwareAction,
}

/// What can be done with firmware.
#[derive(Debug, Subcommand)]
pub enum FirmwareAction {
    /// Build it, and say where it is and how large.
    Build {
        /// The board.
        #[arg(long)]
        board: String,
    },
}

/// Builds, and says what came of it.
///
/// # Errors
/// What is missing, or what the compiler said.
pub fn run(args: &FirmwareArgs, json: bool) -> anyhow::Result<()> {
    let FirmwareAction::Build { board } = &args.action;
    let board = firmware::find(board)?;
    let built = firmware::build(board, &[])?;
    let report = serde_json::json!({
        "board": board.name(),
        "path": built.path,
        "flash_bytes": built.flash,
        "ram_bytes": built.ram,
    });
    super::print(json, &report, || {
        format!(
            "{}\n{} bytes of flash, {} bytes of static RAM (the board's buffers included)",
            built.path.display(),
            built.flash,
            built.ram
        )
    })
}
