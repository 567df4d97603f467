//! The `nickeldime` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    nickeldime::cli::main()
}
