//! `nickeldime send`: sends a model to a board, or to several at once.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::Args;
use indicatif::MultiProgress;
use nickeldime_core::pack::{FORMAT_VERSION, Pack};
use nickeldime_link::{BoardInfo, Client, Sent};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::devices;
use super::model::read_pack;
use super::progress::Bar;
use crate::hash::hex;
use crate::progress::Progress;

/// Send a pack to a board; it keeps its old model until the new one is complete and verified.
///
/// Bytes that the board holds already, from an interrupted upload or from an older model, are not sent again.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The pack to send.
    pub pack: PathBuf,
    /// The board's port. Several ports send to several boards at the same time.
    #[arg(long = "port", value_name = "PORT", required_unless_present = "all")]
    pub ports: Vec<String>,
    /// Send to every board that answers at a port that the system lists.
    #[arg(long)]
    pub all: bool,
    /// If the pack does not fit beside the loaded model, erase that model first. The board then has no model until the
    /// new one is complete.
    #[arg(long)]
    pub replace: bool,
}

/// Checks the pack, sends it, and prints what the boards run now.
///
/// # Errors
/// The pack is damaged or does not fit a board, or a line broke. With several boards, a failure of one does not stop
/// the others.
pub fn run(args: &SendArgs, json: bool) -> anyhow::Result<()> {
    let bytes = read_pack(&args.pack)?;
    let pack = Pack::open(&bytes)?;
    let mut ports = args.ports.clone();
    if args.all {
        let answering = devices::ask(&args.ports).into_iter().filter(devices::Found::is_board);
        ports.extend(answering.map(|found| found.port));
        ensure!(
            !ports.is_empty(),
            "no board answers at any port: `nickeldime devices` shows why, `nickeldime emulate` makes one"
        );
    }
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(port.clone()));
    match &ports[..] {
        [port] => {
            let report = send(port, &bytes, &pack, args.replace, &mut Bar::new())?;
            super::print(json, &report.json(&pack), || report.text(&pack))
        }
        ports => run_many(ports, &bytes, &pack, args.replace, json),
    }
}

/// The outcome for one board.
struct Report {
    port: String,
    board: BoardInfo,
    sent: Sent,
}

fn send(port: &str, bytes: &[u8], pack: &Pack<'_>, replace: bool, bar: &mut Bar) -> anyhow::Result<Report> {
    let mut client = Client::open(port)?;
    fits(pack, client.board())?;
    let board = client.board();
    let loaded = board.model.as_ref().is_some_and(|model| model.sha256[..] == Sha256::digest(bytes)[..]);
    let (len, free, storage) = (bytes.len() as u64, u64::from(board.free), u64::from(board.storage));
    if replace && !loaded && (free + 1..=storage).contains(&len) {
        client.erase()?;
    }
    let mut begun = false;
    let sent = client.upload(bytes, &mut |done, total| {
        if !begun {
            bar.begin("sending", "bytes", total);
            begun = true;
        }
        bar.at(done, "");
    });
    bar.end();
    Ok(Report { port: port.to_owned(), sent: sent?, board: client.board().clone() })
}

/// Sends to several boards at the same time, with one progress line for each. A failure of one does not stop the others.
fn run_many(ports: &[String], bytes: &[u8], pack: &Pack<'_>, replace: bool, json: bool) -> anyhow::Result<()> {
    let lines = MultiProgress::new();
    let results: Vec<anyhow::Result<Report>> = std::thread::scope(|scope| {
        let sending: Vec<_> = ports
            .iter()
            .map(|port| {
                let mut bar = Bar::among(&lines, port);
                scope.spawn(move || send(port, bytes, pack, replace, &mut bar))
            })
            .collect();
        let ended = sending.into_iter().map(|thread| thread.join());
        ended.map(|result| result.unwrap_or_else(|_| bail!("the thread that sent it panicked"))).collect()
    });
    let failed = results.iter().filter(|result| result.is_err()).count();
    let boards: Vec<Value> = ports
        .iter()
        .zip(&results)
        .map(|(port, result)| match result {
            Ok(report) => report.json(pack),
            Err(error) => json!({ "port": port, "error": format!("{error:#}") }),
        })
        .collect();
    let report = json!({ "boards": boards, "sent": ports.len() - failed, "failed": failed });
    super::print(json, &report, || {
        let line = |(port, result): (&String, &anyhow::Result<Report>)| match result {
            Ok(report) => report.text(pack),
            Err(error) => {
                let error = format!("{error:#}");
                if error.starts_with(&**port) { error } else { format!("{port}: {error}") }
            }
        };
        let lines: Vec<String> = ports.iter().zip(&results).map(line).collect();
        format!("{}\n{} of {} boards run {} now", lines.join("\n"), ports.len() - failed, ports.len(), pack.name())
    })?;
    ensure!(failed == 0, "{failed} of {} boards did not get it", ports.len());
    Ok(())
}

impl Report {
    fn json(&self, pack: &Pack<'_>) -> Value {
        let seconds = self.sent.elapsed.as_secs_f64();
        json!({
            "port": self.port,
            "board": self.board.board,
            "name": pack.name(),
            "sha256": self.board.model.as_ref().map(|model| hex(&model.sha256)),
            "bytes": self.board.model.as_ref().map(|model| model.len),
            "already_loaded": self.sent.already_loaded,
            "kept": self.sent.kept,
            "sent": self.sent.bytes,
            "seconds": seconds,
            "bytes_per_second": self.sent.bytes as f64 / seconds.max(1e-9),
        })
    }

    fn text(&self, pack: &Pack<'_>) -> String {
        let (name, board, port, sent) = (pack.name(), &self.board.board, &self.port, &self.sent);
        if sent.already_loaded {
            return format!("{board} at {port} has {name} already");
        }
        let seconds = sent.elapsed.as_secs_f64();
        let rate = sent.bytes as f64 / 1000.0 / seconds.max(1e-9);
        let kept = match sent.kept {
            0 => String::new(),
            kept => format!(" ({kept} were there already)"),
        };
        format!("{board} at {port} runs {name} now: {} bytes in {seconds:.1} s, {rate:.1} kB/s{kept}", sent.bytes)
    }
}

/// Refuses in advance what the board would refuse at the end, after minutes on a slow line.
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
