//! `nickeldime devices`: lists the ports that answer and what they run.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use clap::Args;
use nickeldime_link::{BoardInfo, Client, LinkError, PortError, ports};

use crate::hash::hex;

/// The time limit for the answer of one port.
const EACH: Duration = Duration::from_millis(1200);
/// The time limit for all ports together, opening and closing included. All ports are asked at the same time.
const ALL: Duration = Duration::from_secs(4);

/// List the boards that answer and what they run.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// A port to ask besides those that the system lists (pseudo-terminals are not listed); may be repeated.
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<String>,
}

/// The result of asking a port; `None` while it has not answered.
pub(super) struct Found {
    pub port: String,
    asked_for: bool,
    result: Option<Result<BoardInfo, PortError>>,
}

impl Found {
    /// True if a board answered.
    pub fn is_board(&self) -> bool {
        matches!(self.result, Some(Ok(_)))
    }
}

/// Asks all ports at once and prints what came back.
///
/// # Errors
/// Errors of printing. A port that does not answer is a result and not an error.
pub fn run(args: &DevicesArgs, json: bool) -> anyhow::Result<()> {
    let found = ask(&args.ports);
    let entries: Vec<serde_json::Value> = found.iter().map(entry).collect::<Result<_, _>>()?;
    super::print(json, &serde_json::json!({ "ports": entries }), || {
        let mut lines: Vec<String> = found.iter().map(line).collect();
        if !found.iter().any(Found::is_board) {
            lines.push("No board answered. `nickeldime emulate` makes one without hardware.".into());
        }
        lines.join("\n")
    })
}

fn line(Found { port, asked_for, result }: &Found) -> String {
    match result {
        Some(Ok(board)) => {
            let restart = board.restart.as_ref().map(|why| format!("  restarted after {why}"));
            let restart = restart.unwrap_or_default();
            format!("{port}  {} (firmware {}): {}{restart}", board.board, board.firmware, model(board))
        }
        _ if is_silent(result.as_ref()) && ports::usb_board(port).is_some() => {
            let board = ports::usb_board(port).unwrap_or_default();
            format!("{port}  a {board} by its USB name, and no answer: unplug it and plug it in again")
        }
        // Most computers list ports to which nothing is connected.
        _ if is_silent(result.as_ref()) && !asked_for => format!("{port}  no answer"),
        Some(Err(error)) => error.to_string(),
        None => format!("{port}  no answer, and the port hangs"),
    }
}

/// Whether nothing at all came from a port.
fn is_silent(result: Option<&Result<BoardInfo, PortError>>) -> bool {
    result.is_none_or(|asked| asked.as_ref().is_err_and(|error| error.link() == Some(&LinkError::Silent)))
}

/// Asks `more` and all ports that the system lists, at the same time and for a few seconds.
pub(super) fn ask(more: &[String]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let listed = ports::names().into_iter().map(|port| (port, false));
    for (port, asked_for) in more.iter().map(|port| (port.clone(), true)).chain(listed) {
        if found.iter().all(|known| known.port != port) {
            found.push(Found { port, asked_for, result: None });
        }
    }
    let (tell, told) = channel();
    for (index, Found { port, .. }) in found.iter().enumerate() {
        let (tell, port) = (tell.clone(), port.clone());
        // The thread is not joined, so that a driver that hangs in open or close does not hang the command.
        std::thread::spawn(move || {
            let result = Client::open_within(&port, EACH).map(|client| client.board().clone());
            let _ = tell.send((index, result));
        });
    }
    drop(tell);
    let end = Instant::now() + ALL;
    while let Ok((index, result)) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
        found[index].result = Some(result);
    }
    found
}

fn model(board: &BoardInfo) -> String {
    let loaded = loaded(board);
    if board.trusted.is_empty() { loaded } else { format!("{loaded}, trusts {}", board.trusted.join(", ")) }
}

fn loaded(board: &BoardInfo) -> String {
    match &board.model {
        None => format!("no model, room for {} bytes", board.free),
        Some(model) => format!(
            "{} ({}x{}, {} bytes, {}), room for {} bytes more",
            model.name,
            model.resolution,
            model.resolution,
            model.len,
            &hex(&model.sha256)[..12],
            board.free
        ),
    }
}

fn entry(found: &Found) -> serde_json::Result<serde_json::Value> {
    let mut entry = match &found.result {
        Some(Ok(board)) => serde_json::to_value(board)?,
        Some(Err(error)) => serde_json::json!({ "error": error.to_string() }),
        None => serde_json::json!({ "error": "no answer, and the port hangs" }),
    };
    entry["port"] = found.port.clone().into();
    Ok(entry)
}
