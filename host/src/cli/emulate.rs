//! `nickeldime emulate`: a board without a board.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::port::{Board, BoardKind};

/// Start a board without a board and print its port, until Ctrl-C.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// The board: qemu-m4, qemu-m0, qemu-rv32, stm32f405 (its firmware in an emulator), or host (the device code in this
    /// process).
    #[arg(long, default_value_t = BoardKind::roomy())]
    pub board: BoardKind,
}

/// Starts the board, says where it is, and waits for its end or ours.
///
/// # Errors
/// When the board does not start, or ends by itself.
pub fn run(args: &EmulateArgs, json: bool) -> anyhow::Result<()> {
    let (stop, stopped) = channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more only when the command ends anyway.
        let _ = stop.send(());
    })
    .context("cannot listen for Ctrl-C")?;
    let mut board = Board::start(args.board)?;
    let mut out = std::io::stdout().lock();
    if json {
        let line = serde_json::json!({ "port": board.port(), "board": board.kind().name() });
        writeln!(out, "{line}")?;
    } else {
        let port = board.port().display();
        writeln!(out, "{} is at {port}  ({})", board.kind(), board.kind().description())?;
        writeln!(out, "  nickeldime send PACK --port {port}")?;
        writeln!(out, "Ctrl-C ends it.")?;
    }
    out.flush()?;
    while stopped.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
        if !board.is_running() {
            bail!("the board has ended by itself");
        }
    }
    Ok(())
}
