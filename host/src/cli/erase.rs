//! `nickeldime erase`: removes the model from a board.

use clap::Args;
use nickeldime_link::Client;

/// Erase a board's storage, including its model.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The board's port.
    #[arg(long)]
    pub port: String,
}

/// Erases the storage and prints how large a pack may be now.
///
/// # Errors
/// The board does not answer, or its flash fails.
pub fn run(args: &EraseArgs, json: bool) -> anyhow::Result<()> {
    let mut client = Client::open(&args.port)?;
    let had = client.board().model.as_ref().map(|model| model.name.clone());
    client.erase()?;
    let board = client.board();
    let report = serde_json::json!({ "port": args.port, "board": board.board, "erased": had, "free": board.free });
    super::print(json, &report, || {
        let had = had.as_deref().map_or_else(String::new, |name| format!(", {name} is gone"));
        format!("{} at {} is empty{had}: room for {} bytes", board.board, args.port, board.free)
    })
}
