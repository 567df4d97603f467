//! What `--version` says.

use nickeldime_core::link::PROTOCOL_VERSION;
use nickeldime_core::pack::FORMAT_VERSION;

/// The version, the commit, what packs and boards go with it, and the backends that are built in.
///
/// A release's build sets `NICKELDIME_COMMIT`. A build script would ask git, and build everything again after every commit.
pub fn long() -> String {
    let commit = option_env!("NICKELDIME_COMMIT").unwrap_or("not that of a release");
    let built = [("ndarray", cfg!(feature = "ndarray")), ("cuda", cfg!(feature = "cuda"))];
    let backends: Vec<&str> =
        std::iter::once("flex").chain(built.iter().filter(|(_, built)| *built).map(|(name, _)| *name)).collect();
    format!(
        "{}\ncommit: {commit}\npack format: {FORMAT_VERSION}\nprotocol: {PROTOCOL_VERSION}\nbackends: {}",
        env!("CARGO_PKG_VERSION"),
        backends.join(", ")
    )
}
