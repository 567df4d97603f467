//! `nickeldime emulate`: runs a virtual board.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::emulate::faults::Faults;
use crate::emulate::faulty_port::FaultyPort;
use crate::emulate::{BoardKind, Setup, VirtualBoard};

use super::key::trusted;

/// Start an emulated board and print its port; it runs until Ctrl-C.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// The board: qemu-m4, qemu-m55, qemu-m0, qemu-rv32, stm32f405, pico (its firmware in an emulator), or host (the device
    /// code in this process).
    #[arg(long, default_value_t = BoardKind::roomy())]
    pub board: BoardKind,
    /// Count instructions: the board's clock runs as it executes, one instruction a nanosecond, and `sample --port` says how
    /// many an image took. Not for pico and host.
    #[arg(long)]
    pub count: bool,
    /// Load only packs that this key has signed; give the flag once for each key. A file that `key new` made, or another
    /// Ed25519 key in PEM.
    #[arg(long, value_name = "PUB")]
    pub trust: Vec<PathBuf>,
    /// Simulate line errors: drop=0.0001,flip=..,dup=..,stall=..,reset=.. are probabilities per byte; cut-at=N cuts the
    /// line for a second after N bytes (the port comes back); seed=N makes the errors the same every time.
    #[arg(long, value_name = "FAULTS")]
    pub faults: Option<Faults>,
    /// Simulate the speed of a line, in bits per second and direction, with ten bits for each byte.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(300..))]
    pub baud: Option<u32>,
}

/// Starts the board, prints its port, and waits until the board or this command ends.
///
/// # Errors
/// The board does not start, or it ends by itself.
pub fn run(args: &EmulateArgs, json: bool) -> anyhow::Result<()> {
    let (stop, stopped) = channel();
    ctrlc::set_handler(move || {
        // Sending fails only if the command ends anyway.
        let _ = stop.send(());
    })
    .context("cannot listen for Ctrl-C")?;
    let setup = Setup { count: args.count, trust: trusted(&args.trust)? };
    let mut board = VirtualBoard::start_with(args.board, &setup)?;
    let line = match (args.faults, args.baud) {
        (None, None) => None,
        (faults, baud) => {
            let faults = faults.unwrap_or(Faults::NONE);
            Some(FaultyPort::start(board.port(), board.reset_button(), faults, baud, None)?)
        }
    };
    let port = line.as_ref().map_or_else(|| board.port().to_owned(), FaultyPort::port);
    let said = serde_json::json!({ "port": port, "board": board.kind().name() });
    super::print(json, &said, || {
        let (kind, port) = (board.kind(), port.display());
        format!("{kind} is at {port}  ({})\n  nickeldime send PACK --port {port}\nCtrl-C ends it.", kind.description())
    })?;
    while stopped.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
        if !board.is_running() {
            bail!("the board has ended by itself");
        }
        if let Some(port) = line.as_ref().and_then(FaultyPort::plugged_again) {
            let said = serde_json::json!({ "port": port, "board": board.kind().name() });
            let text = || format!("the line was cut; {} is at {} now", board.kind(), port.display());
            super::print(json, &said, text)?;
        }
    }
    Ok(())
}
