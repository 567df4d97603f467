//! `nickeldime send`: a model onto a board.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use nickeldime_core::pack::{FORMAT_VERSION, Pack};

use super::model::read_pack;
use super::progress::Bar;
use crate::port::{BoardInfo, Client, hex};
use crate::progress::Progress;

/// Send a pack to a board; it keeps its old model until the new one is complete and verified.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The pack.
    pub pack: PathBuf,
    /// The board's port.
    #[arg(long)]
    pub port: String,
}

/// Checks the pack, sends it, and says what the board runs now.
///
/// # Errors
/// A damaged pack, a board that it does not fit, or a line that broke.
pub fn run(args: &SendArgs, json: bool) -> anyhow::Result<()> {
    let bytes = read_pack(&args.pack)?;
    let pack = Pack::open(&bytes)?;
    let mut client = Client::open(&args.port)?;
    fits(&pack, client.board())?;
    let mut bar = Bar::new();
    let mut begun = false;
    let sent = client.upload(&bytes, &mut |done, total| {
        if !begun {
            bar.begin("sending", "bytes", total);
            begun = true;
        }
        bar.at(done, "");
    });
    bar.end();
    let sent = sent?;
    let board = client.board();
    let sha256 = board.model.as_ref().map(|model| hex(&model.sha256)).unwrap_or_default();
    let seconds = sent.elapsed.as_secs_f64();
    let report = serde_json::json!({
        "port": args.port,
        "board": board.board,
        "name": pack.name(),
        "sha256": sha256,
        "bytes": bytes.len(),
        "already_loaded": sent.already_loaded,
        "kept": sent.kept,
        "sent": sent.bytes,
        "seconds": seconds,
        "bytes_per_second": sent.bytes as f64 / seconds.max(1e-9),
    });
    super::print(json, &report, || {
        let (name, board, port) = (pack.name(), &board.board, &args.port);
        if sent.already_loaded {
            return format!("{board} at {port} has {name} already");
        }
        let rate = sent.bytes as f64 / 1000.0 / seconds.max(1e-9);
        let mut text =
            format!("{board} at {port} runs {name} now: {} bytes in {seconds:.1} s, {rate:.1} kB/s", sent.bytes);
        if sent.kept > 0 {
            text += &format!("\n({} bytes of it were there already)", sent.kept);
        }
        text
    })
}

/// What the board would refuse in the end is refused here, before minutes on a slow line.
fn fits(pack: &Pack<'_>, board: &BoardInfo) -> anyhow::Result<()> {
    if board.pack_format != FORMAT_VERSION {
        let older = if board.pack_format < FORMAT_VERSION { "the firmware" } else { "this program, and pack again" };
        bail!("{} reads pack format {}, this is {FORMAT_VERSION}: update {older}", board.board, board.pack_format);
    }
    let (needed, available) = (4 * pack.workspace_len() as u64, u64::from(board.workspace));
    if needed > available {
        bail!(
            "{} needs {needed} bytes of RAM to generate, {} has {available}: pack a model at a higher --ratio",
            pack.name(),
            board.board
        );
    }
    Ok(())
}
