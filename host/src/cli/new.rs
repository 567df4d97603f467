//! `nickeldime new`: writes a generator with random weights, of any architecture.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use nickeldime_checkpoint::{
    Checkpoint,
    model::{
        arch::{GREY, GeneratorArch, RGB},
        initial, resample,
    },
    write_checkpoint,
};
use serde::Serialize;

use super::{
    model::ModelFile,
    outputs::{self, Format},
};

/// Arguments of `new`.
#[derive(clap::Args)]
pub struct NewArgs {
    /// A well-known architecture.
    #[arg(long, value_parser = PossibleValuesParser::new(GeneratorArch::PRESETS), required_unless_present = "channels")]
    arch: Option<String>,
    /// The channels at 4x4, 8x8, ..., in place of a well-known architecture.
    #[arg(long, value_name = "C4,C8,...", value_delimiter = ',', conflicts_with = "arch")]
    channels: Vec<usize>,
    /// The width of z and w.
    #[arg(long, value_name = "N", default_value_t = 512, requires = "channels")]
    w_dim: usize,
    /// The number of layers of the mapping network.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "channels")]
    mapping_layers: usize,
    /// Images of one channel.
    #[arg(long, requires = "channels")]
    grey: bool,
    /// Remove this share of the channels.
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    ratio: f64,
    /// The seed of the weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A trained generator, of any shape, whose statistics the weights get. Default: normally distributed weights.
    #[arg(long, value_name = "MODEL")]
    like: Option<PathBuf>,
    /// The safetensors file to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Serialize)]
struct Made {
    output: PathBuf,
    resolution: usize,
    channels: Vec<usize>,
    parameters: usize,
}

pub fn run(args: &NewArgs, json: bool) -> anyhow::Result<()> {
    outputs::file(&args.output, Format::Safetensors)?;
    let dense = match &args.arch {
        Some(name) => GeneratorArch::preset(name).with_context(|| format!("{name}: no such architecture"))?,
        None => GeneratorArch {
            z_dim: args.w_dim,
            w_dim: args.w_dim,
            mapping_layers: args.mapping_layers,
            channels: args.channels.clone(),
            img_channels: if args.grey { GREY } else { RGB },
            conv_clamp: Some(256.0),
        },
    };
    dense.check()?;
    let arch = dense.pruned(args.ratio)?;
    let generator = match &args.like {
        Some(path) => match ModelFile::open(path)? {
            ModelFile::Checkpoint(trained) => resample::like(&trained.generator, &arch, args.seed),
            ModelFile::Pack(_) => bail!("{}: is a pack; a checkpoint's weights are wanted", path.display()),
        },
        None => initial::like_trained(&arch, args.seed),
    };
    let parameters = generator.tensors.values().map(|tensor| tensor.len()).sum();
    let checkpoint = Checkpoint::of_generator(generator);
    write_checkpoint(&args.output, &checkpoint, &Default::default())?;
    let made = Made { output: args.output.clone(), resolution: arch.resolution(), channels: arch.channels, parameters };
    super::print(json, &made, || {
        format!(
            "{}: random weights, {size}x{size}, channels {:?}, {} numbers",
            made.output.display(),
            made.channels,
            made.parameters,
            size = made.resolution
        )
    })
}
