//! Runs the command as scripts do.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The command's binary. Cargo tells the tests of its package, and their libraries, where it has built it.
pub fn binary() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_nickeldime").expect("a test of the package `nickeldime`").into()
}

/// Runs the command. Returns the exit code, standard output and standard error.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary()).args(args).output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// Runs a command that must succeed, and returns its JSON object.
pub fn json(args: &[&str]) -> Value {
    let (code, out, err) = run(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"))
}

/// Runs a command that must fail, and returns its one line of error.
pub fn error(args: &[&str]) -> String {
    let (code, out, err) = run(args);
    assert_eq!(code, 1, "{args:?}: {out}{err}");
    assert_eq!(out, "", "{args:?}");
    let last = err.lines().last().unwrap_or_default().to_string();
    assert!(last.starts_with("error: "), "{args:?}: {err}");
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    last
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths in tests are text")
}
