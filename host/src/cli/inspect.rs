//! `nickeldime inspect`: shows the layers and costs of a model.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use anyhow::bail;
use nickeldime_checkpoint::{
    Checkpoint,
    model::{
        arch::{GeneratorArch, block_resolution},
        cost::{Cost, Macs, Params, compression_rate},
    },
};
use nickeldime_core::pack::Pack;
use serde::Serialize;

use super::{model::ModelFile, pack::RamParts};
use crate::{
    boards::fit::{Fit, Need, fits},
    draw::NoiseMode,
    hash::sha256,
    keys,
    quantise::PackOptions,
};

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub struct InspectArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), a pack, or a run's folder.
    #[arg(required_unless_present = "arch", conflicts_with = "arch")]
    model: Option<PathBuf>,
    /// A well-known architecture, in place of a file.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(GeneratorArch::PRESETS))]
    arch: Option<String>,
    /// Show the model as if this share of its channels were removed.
    #[arg(long, value_name = "R")]
    ratio: Option<f64>,
}

#[derive(Serialize)]
struct Inspected {
    resolution: usize,
    /// 3 for RGB, 1 for grey.
    img_channels: usize,
    channels: BTreeMap<usize, usize>,
    z_dim: usize,
    w_dim: usize,
    mapping_layers: usize,
    conv_clamp: Option<f32>,
    params: Params,
    macs: Macs,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discriminator: Option<bool>,
    /// Sentences about content of the file that was not read as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
    /// The approximate size of the pack, in bytes.
    pack_bytes: usize,
    /// The RAM that an image needs, in bytes.
    ram_bytes: usize,
    boards: Vec<Fit>,
}

#[derive(Serialize)]
struct InspectedPack {
    name: String,
    resolution: usize,
    /// 3 for RGB, 1 for grey.
    img_channels: usize,
    channels: BTreeMap<usize, usize>,
    z_dim: usize,
    w_dim: usize,
    bytes: usize,
    ram_bytes: usize,
    ram: RamParts,
    sha256: String,
    signatures: Vec<SignedBy>,
    boards: Vec<Fit>,
}

pub fn run(args: &InspectArgs, json: bool) -> anyhow::Result<()> {
    let (dense, discriminator, remarks) = match (&args.arch, &args.model) {
        (Some(name), _) => match GeneratorArch::preset(name) {
            Some(arch) => (arch, None, Vec::new()),
            None => bail!("{name}: no such architecture"),
        },
        (None, Some(path)) => match ModelFile::open(path)? {
            ModelFile::Checkpoint(checkpoint) => {
                let Checkpoint { generator, discriminator, remarks } = *checkpoint;
                (generator.arch, Some(discriminator.is_some()), remarks)
            }
            ModelFile::Pack(bytes) if args.ratio.is_none() => return inspect_pack(&bytes, json),
            ModelFile::Pack(_) => bail!("{}: a pack is compressed already; --ratio is for checkpoints", path.display()),
        },
        (None, None) => bail!("name a model or an architecture"),
    };
    let arch = match args.ratio {
        Some(ratio) => dense.pruned(ratio)?,
        None => dense.clone(),
    };
    let cost = Cost::of(&arch);
    let options = PackOptions::for_noise(NoiseMode::Const);
    let need = Need::of_arch(&arch, &options)?;
    let inspected = Inspected {
        resolution: arch.resolution(),
        img_channels: arch.img_channels,
        channels: by_resolution(&arch.channels),
        z_dim: arch.z_dim,
        w_dim: arch.w_dim,
        mapping_layers: arch.mapping_layers,
        conv_clamp: arch.conv_clamp,
        params: cost.params,
        macs: cost.macs,
        ratio: args.ratio,
        compression_rate: args.ratio.map(|_| compression_rate(&Cost::of(&dense).macs, &cost.macs)),
        discriminator,
        remarks: remarks.iter().map(ToString::to_string).collect(),
        pack_bytes: need.flash,
        ram_bytes: need.ram,
        boards: fits(&need, Some((&dense, args.ratio.unwrap_or(0.0))), &options),
    };
    super::print(json, &inspected, || text(&inspected, &cost))
}

fn grey(img_channels: usize) -> &'static str {
    if img_channels == 1 { " grey" } else { "" }
}

fn by_resolution(channels: &[usize]) -> BTreeMap<usize, usize> {
    channels.iter().enumerate().map(|(i, &c)| (block_resolution(i), c)).collect()
}

fn text(inspected: &Inspected, cost: &Cost) -> String {
    let mut out = String::new();
    let Inspected { resolution, z_dim, w_dim, params, macs, .. } = inspected;
    let grey = grey(inspected.img_channels);
    let _ = writeln!(out, "StyleGAN2 generator, {resolution}x{resolution}{grey}, z {z_dim}, w {w_dim}");
    let _ = writeln!(out, "{:<14}{:>12}{:>7}{:>16}{:>12}", "layer", "channels", "at", "MACs", "params");
    for layer in &cost.layers {
        let channels = format!("{} -> {}", layer.cin, layer.cout);
        let macs = layer.macs + layer.affine_macs;
        let _ = writeln!(out, "{:<14}{channels:>12}{:>7}{macs:>16}{:>12}", layer.name, layer.resolution, layer.params);
    }
    let _ = writeln!(out, "parameters  {} (mapping {}, synthesis {})", params.total, params.mapping, params.synthesis);
    let _ = writeln!(out, "MACs        {} an image ({} in the paper's convention)", macs.total, macs.paper);
    if let (Some(ratio), Some(rate)) = (inspected.ratio, inspected.compression_rate) {
        let _ =
            writeln!(out, "ratio {ratio}   {rate:.2} % of the dense generator's MACs are gone (paper's convention)");
    }
    let _ = writeln!(out, "as a pack   about {} bytes, {} bytes of RAM", inspected.pack_bytes, inspected.ram_bytes);
    out += &table(&inspected.boards);
    if inspected.discriminator == Some(false) {
        let _ = writeln!(out, "no discriminator from this file: it cannot be a teacher");
    }
    out
}

/// A table that says for every board whether the model fits, and at which ratio it would.
fn table(boards: &[Fit]) -> String {
    let mut out = "boards (seconds an image and instructions are estimates):\n".to_owned();
    for fit in boards {
        let _ = writeln!(out, "  {}", fit.line());
    }
    out
}

/// A signature of a pack.
#[derive(Serialize)]
struct SignedBy {
    public_key: String,
    id: String,
    /// True if it is that key's signature of this pack.
    holds: bool,
}

impl SignedBy {
    fn of(signature: &keys::Signature) -> Self {
        Self { public_key: signature.key.to_string(), id: signature.key.id(), holds: signature.holds }
    }

    fn line(&self) -> String {
        let holds = if self.holds { "" } else { ", which does not hold: boards that trust this key refuse the pack" };
        format!("signed  by key {}{holds}\n", self.id)
    }
}

fn inspect_pack(bytes: &[u8], json: bool) -> anyhow::Result<()> {
    let pack = Pack::open(bytes)?;
    let inspected = InspectedPack {
        name: pack.name().into(),
        resolution: pack.resolution(),
        img_channels: pack.channels(),
        channels: by_resolution(&pack.header().blocks.iter().map(|b| b.conv1.outputs.into()).collect::<Vec<_>>()),
        z_dim: pack.z_dim(),
        w_dim: pack.w_dim(),
        bytes: bytes.len(),
        ram_bytes: pack.ram().total(),
        ram: pack.ram().into(),
        sha256: sha256(bytes),
        signatures: keys::signatures(&pack).iter().map(SignedBy::of).collect(),
        boards: fits(&Need::of_pack(&pack), None, &PackOptions::for_noise(NoiseMode::Const)),
    };
    super::print(json, &inspected, || {
        format!(
            "pack {:?}, {size}x{size}{grey}\nflash   {} bytes\nRAM     {} bytes for an image ({})\nSHA-256 {}\n{}{}",
            inspected.name,
            inspected.bytes,
            inspected.ram_bytes,
            inspected.ram,
            inspected.sha256,
            inspected.signatures.iter().map(SignedBy::line).collect::<String>(),
            table(&inspected.boards),
            size = inspected.resolution,
            grey = grey(inspected.img_channels)
        )
    })
}
