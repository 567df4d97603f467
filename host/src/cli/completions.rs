//! `nickeldime completions`: scripts for shells, and manual pages.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print a shell's completion script, or write manual pages.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell whose script is printed: `nickeldime completions bash > ~/.local/share/bash-completion/completions/nickeldime`
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write a manual page for every sub-command into this folder instead.
    #[arg(long, value_name = "FOLDER", conflicts_with = "shell")]
    man: Option<PathBuf>,
}

pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut command = super::Cli::command();
    if let Some(folder) = &args.man {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        clap_mangen::generate_to(command, folder).with_context(|| folder.display().to_string())?;
    } else if let Some(shell) = args.shell {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "nickeldime", &mut script);
        // A reader that wants no more is no error.
        let _ = std::io::stdout().write_all(&script);
    }
    Ok(())
}
