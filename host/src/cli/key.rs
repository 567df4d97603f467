//! `nickeldime key`: keys that sign packs.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::outputs::{self, Format};
use crate::keys::{KeyError, PublicKey, SecretKey};

/// Arguments of `key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// Make or show a key.
    #[command(subcommand)]
    pub action: KeyAction,
}

/// The sub-commands of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Make an Ed25519 key: FILE, which only you can read, signs packs; FILE.pub goes into the firmware of boards that
    /// shall trust it.
    New {
        /// The file of the secret key. A file that exists is never overwritten.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Print the public key of a key's file, as PEM.
    Show {
        /// A secret or public key in PEM.
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Shown {
    /// The 32 bytes in hexadecimal.
    public_key: String,
    /// The first 8 of them, by which boards name the key.
    id: String,
    /// The file of the secret key that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<PathBuf>,
    /// The file of its public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<PathBuf>,
}

impl Shown {
    fn of(key: &PublicKey) -> Self {
        Self { public_key: key.to_string(), id: key.id(), secret: None, public: None }
    }
}

pub fn run(args: &KeyArgs, json: bool) -> anyhow::Result<()> {
    match &args.action {
        KeyAction::New { output } => new(output, json),
        KeyAction::Show { file } => {
            let key = PublicKey::read(file)?;
            let pem = key.pem()?;
            super::print(json, &Shown::of(&key), || pem.trim_end().to_owned())
        }
    }
}

fn new(output: &Path, json: bool) -> anyhow::Result<()> {
    outputs::file(output, Format::Key)?;
    let key = SecretKey::generate()?;
    let public = key.write(output)?;
    let shown = Shown { secret: Some(output.into()), public: Some(public.clone()), ..Shown::of(&key.public()) };
    super::print(json, &shown, || {
        format!(
            "{secret}: a secret key, id {id}; keep it, nobody can make it again\n{public}: its public key\n  nickeldime pack MODEL \
             -o PACK --sign {secret}\n  nickeldime firmware build --board BOARD --trust {public}",
            secret = output.display(),
            public = public.display(),
            id = shown.id
        )
    })
}

/// The keys that a board shall trust.
pub fn trusted(files: &[PathBuf]) -> Result<Vec<PublicKey>, KeyError> {
    files.iter().map(|file| PublicKey::read(file)).collect()
}
