//! Builds a board's firmware from the checkout that this program was built from.

use nickeldime_boards::BoardSpec;
use nickeldime_checkpoint::files;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::BoardError;
use super::elf::Program;
use crate::keys::PublicKey;

/// Firmware that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The ELF file.
    pub path: PathBuf,
    /// The program in the file.
    pub program: Program,
}

/// Checks that the firmware of `board` can be built here.
///
/// # Errors
/// A description of what is missing, and how to install it.
pub fn check(board: BoardSpec) -> Result<(), BoardError> {
    checkout()?;
    check_target(board.target)
}

/// Builds the firmware of `board` with additional cargo features. It loads only packs that one of the keys in `trust` has
/// signed, or any pack if there are none. This is quick if nothing has changed.
///
/// # Errors
/// [`BoardError`]: something is missing, or the compiler failed.
pub fn build(board: BoardSpec, features: &[&str], trust: &[PublicKey]) -> Result<Firmware, BoardError> {
    let signed: &[&str] = if trust.is_empty() { &[] } else { &["signed"] };
    let features = [&[board.name()], features, signed].concat();
    let program = "nickeldime-firmware";
    build_program(board, Source { package: program, program, features: &features, trust })
}

/// The package that a program for a board is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The package's name.
    pub package: &'a str,
    /// The name of its binary.
    pub program: &'a str,
    /// Its cargo features.
    pub features: &'a [&'a str],
    /// The keys that its packs must be signed with one of.
    pub trust: &'a [PublicKey],
}

/// Builds a program for `board`.
pub(crate) fn build_program(board: BoardSpec, source: Source<'_>) -> Result<Firmware, BoardError> {
    let Source { package, program, features, trust } = source;
    let checkout = checkout()?;
    check_target(board.target)?;
    // Cargo gives the programs of all features one file name, so the folder is locked until this program has been
    // copied.
    let _lock = File::open(checkout.join("firmware")).and_then(|folder| folder.lock().map(|()| folder));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--quiet", "--package", package, "--bin", program])
        .args(["--profile", board.profile])
        .args(["--target", board.target, "--features", &features.join(",")])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(checkout.join("Cargo.toml"))
        // A relative CARGO_TARGET_DIR is relative to the checkout, wherever this program runs.
        .current_dir(&checkout)
        // RUSTFLAGS for this computer (target-cpu=native, for example) do not fit the board.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null());
    if !trust.is_empty() {
        let keys: Vec<String> = trust.iter().map(PublicKey::to_string).collect();
        command.env("NICKELDIME_TRUST", keys.join(","));
    }
    let output = command
        .output()
        .map_err(|cause| BoardError::NoTools { program: cargo.to_string_lossy().into_owned(), cause })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(BoardError::Build { output: last_lines(&said, 40) });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = executable(&messages)
        .ok_or_else(|| BoardError::Build { output: "cargo did not say where it put the firmware".to_owned() })?;
    let ids: Vec<String> = trust.iter().map(PublicKey::id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let name = [&[program, board.name()], features, &ids].concat().join("-");
    let path = built.with_file_name(name);
    let bytes = fs::read(&built).map_err(|cause| BoardError::File { path: built, cause })?;
    files::replace(&path, |out| out.write_all(&bytes))
        .map_err(|cause| BoardError::Write { path: path.clone(), cause })?;
    let program = Program::read(&path)?;
    Ok(Firmware { path, program })
}

/// The path of the checkout that this program was built from.
fn checkout() -> Result<PathBuf, BoardError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = root.join("firmware").join("Cargo.toml");
    if manifest.is_file() { Ok(root) } else { Err(BoardError::NoCheckout { path: manifest }) }
}

/// Asks the compiler for the target's library, because without it cargo would fail with pages of errors.
fn check_target(target: &'static str) -> Result<(), BoardError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", target])
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| BoardError::NoTools { program: rustc.to_string_lossy().into_owned(), cause })?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && library.is_dir() { Ok(()) } else { Err(BoardError::NoTarget { target }) }
}

/// The executable in cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
