//! `nickeldime import`: converts a checkpoint to safetensors.

use std::path::PathBuf;

use nickeldime_checkpoint::write_checkpoint;
use serde::Serialize;

use super::{
    model::read_checkpoint,
    outputs::{self, Format},
};

/// Arguments of `import`.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// A StyleGAN2-ADA .pkl, a .pt of rosinality's or of a state dict, safetensors, or the folder of a run.
    checkpoint: PathBuf,
    /// The safetensors file to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Serialize)]
struct Imported {
    output: PathBuf,
    resolution: usize,
    tensors: usize,
    discriminator: bool,
    /// Sentences about content of the file that was not read as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
}

pub fn run(args: &ImportArgs, json: bool) -> anyhow::Result<()> {
    outputs::file(&args.output, Format::Safetensors)?;
    let checkpoint = read_checkpoint(&args.checkpoint)?;
    write_checkpoint(&args.output, &checkpoint, &Default::default())?;
    let critic = checkpoint.discriminator.as_ref();
    let imported = Imported {
        output: args.output.clone(),
        resolution: checkpoint.generator.arch.resolution(),
        tensors: checkpoint.generator.tensors.len() + critic.map_or(0, |d| d.tensors.len()),
        discriminator: critic.is_some(),
        remarks: checkpoint.remarks.iter().map(ToString::to_string).collect(),
    };
    super::print(json, &imported, || {
        let networks = if imported.discriminator { "generator and discriminator" } else { "generator" };
        format!(
            "{}: {networks}, {size}x{size}, {} tensors",
            imported.output.display(),
            imported.tensors,
            size = imported.resolution
        )
    })
}
