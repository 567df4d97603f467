//! Test of the README: every command line in it is one that the command accepts.

use std::{fs, path::Path};

use clap::Parser;

use super::Cli;

/// The arguments of a line of a shell block, if the line runs the command.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.split(" #").next()?.trim();
    let arguments = line.strip_prefix("nickeldime ").or_else(|| line.strip_prefix("cargo run --release -- "))?;
    Some(arguments.split_whitespace().collect())
}

#[test]
fn every_command_of_the_readme_is_accepted() {
    // A published package is built without the workspace's README.
    let Ok(readme) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")) else { return };
    let mut commands = 0;
    for block in readme.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for arguments in block.lines().filter_map(arguments) {
            let parsed = Cli::try_parse_from(["nickeldime"].iter().chain(&arguments));
            assert!(parsed.is_ok(), "nickeldime {}: {}", arguments.join(" "), parsed.err().expect("refused"));
            commands += 1;
        }
    }
    assert!(commands >= 25, "only {commands} commands: this test no longer finds them");
    let refused = ["nickeldime", "sample", "face.ndm", "--no-such-flag"];
    assert!(Cli::try_parse_from(refused).is_err());
}
