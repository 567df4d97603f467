//! `nickeldime pack`: turns a float generator into a model pack.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use nickeldime_checkpoint::{GeneratorWeights, files};
use nickeldime_core::{
    generator::Ram,
    pack::{Pack, WeightWidth, layout::MAX_NAME},
};
use serde::Serialize;

use super::{
    model::ModelFile,
    outputs::{self, Format},
    progress::Bar,
};
use crate::{
    boards::{
        self,
        fit::{self, Fit, Need},
    },
    draw::NoiseMode,
    hash::sha256,
    keys::SecretKey,
    progress::Progress,
    quantise::{LayerReport, PackOptions, PackParts, Packed, pack},
};

/// Arguments of `pack`.
#[derive(clap::Args)]
pub struct PackArgs {
    /// A checkpoint (.pkl, .pt, .safetensors), or a run's folder, whose newest student is packed. With --sign also a pack,
    /// which is signed as it is.
    model: PathBuf,
    /// The pack to write.
    #[arg(short, long)]
    output: PathBuf,
    /// The model's name, shown to people; at most 64 bytes. Default: the name of the model's file or folder, cut at 64
    /// bytes.
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The device's default noise. `const` also stores the noise maps.
    #[arg(long, value_enum, default_value = "const")]
    noise: NoiseMode,
    /// Refuse a model that does not fit this board, and print how long its images take there.
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// The number of bits of the mapping network's weights.
    #[arg(long, value_parser = ["8", "16"], default_value = "16")]
    mapping_bits: String,
    /// Sign the pack with this secret key, for boards that trust it; `nickeldime key new` makes one.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// The number of further bytes to spend on 16-bit weights, in the layers whose rounding changes the images most.
    #[arg(long, value_name = "N", default_value_t = 0)]
    extra_bytes: usize,
}

/// The result of packing.
#[derive(Debug, Clone, Serialize)]
pub struct PackSummary {
    pub pack: PathBuf,
    pub pack_bytes: usize,
    pub parts: PackParts,
    /// The layers, in the pack's order.
    pub layers: Vec<LayerReport>,
    pub ram_bytes: usize,
    /// Bytes of RAM by part.
    pub ram: RamParts,
    pub psnr_db: f64,
    pub psnr_worst_db: f64,
    pub psnr_images: usize,
    /// The SHA-256 of the file, as `send` and `devices` show it.
    pub sha256: String,
    /// The id of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The pack's needs on a board.
    #[serde(skip)]
    pub need: Need,
    /// The comparison with the board that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
}

pub fn run(args: &PackArgs, json: bool) -> anyhow::Result<()> {
    outputs::file(&args.output, Format::Pack)?;
    // Before minutes of calibration.
    let key = args.sign.as_deref().map(SecretKey::read).transpose()?;
    let checkpoint = match (ModelFile::open(&args.model)?, &key) {
        (ModelFile::Checkpoint(checkpoint), _) => checkpoint,
        (ModelFile::Pack(bytes), Some(key)) => return sign(&bytes, key, &args.output, json),
        (ModelFile::Pack(_), None) => bail!("{}: is a pack already; --sign KEY would sign it", args.model.display()),
    };
    let mapping = if args.mapping_bits == "8" { WeightWidth::I8 } else { WeightWidth::I16 };
    let options = PackOptions {
        name: args.name.clone().unwrap_or_else(|| name_of(&args.model)),
        mapping,
        ..PackOptions::for_noise(args.noise)
    };
    let board = args.board.as_deref().map(boards::find).transpose()?;
    if let Some(board) = &board {
        fit::check(board, &checkpoint.generator.arch, 0.0, &options)
            .with_context(|| format!("{} as it is", args.model.display()))?;
    }
    let mut packed = pack_to(
        &checkpoint.generator,
        options,
        args.noise,
        args.extra_bytes,
        key.as_ref(),
        &args.output,
        &mut Bar::new(),
    )?;
    packed.fit = board.map(|board| fit::fit(&board, &packed.need));
    super::print(json, &packed, || packed.text())
}

#[derive(Serialize)]
struct Signed {
    pack: PathBuf,
    pack_bytes: usize,
    sha256: String,
    /// The id of the key.
    signed: String,
}

/// Signs a pack that exists, and writes the signed one.
fn sign(pack: &[u8], key: &SecretKey, output: &Path, json: bool) -> anyhow::Result<()> {
    Pack::open(pack)?;
    let bytes = key.sign(pack)?;
    files::replace(output, |out| out.write_all(&bytes)).with_context(|| output.display().to_string())?;
    let signed =
        Signed { pack: output.into(), pack_bytes: bytes.len(), sha256: sha256(&bytes), signed: key.public().id() };
    super::print(json, &signed, || {
        format!("{}\nflash  {} bytes\nsigned by key {}", output.display(), signed.pack_bytes, signed.signed)
    })
}

/// Parses a model's name.
fn name(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MAX_NAME => Ok(text.into()),
        bytes => Err(format!("{bytes} bytes; a pack's name has at most {MAX_NAME}")),
    }
}

/// The name of a model after its file, without a checkpoint's extension, or after its folder; cut to what a pack holds.
fn name_of(model: &Path) -> String {
    /// Anything else after a dot is part of the name, as in `ratio-0.9`.
    const EXTENSIONS: [&str; 6] = ["pkl", "pickle", "pt", "pth", "ckpt", "safetensors"];
    let is_extension = |e: &std::ffi::OsStr| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known));
    // `.` and `..` have no name of their own.
    let whole = match model.file_name() {
        Some(_) => model.to_path_buf(),
        None => std::fs::canonicalize(model).unwrap_or_default(),
    };
    let name = match whole.extension().is_some_and(is_extension) && !model.is_dir() {
        true => whole.file_stem(),
        false => whole.file_name(),
    };
    let mut name = name.unwrap_or_default().to_string_lossy().into_owned();
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name
}

/// Packs a generator, writes the pack to `output`, and says what came of it.
pub fn pack_to(
    weights: &GeneratorWeights,
    options: PackOptions,
    noise: NoiseMode,
    extra_bytes: usize,
    key: Option<&SecretKey>,
    output: &Path,
    progress: &mut dyn Progress,
) -> anyhow::Result<PackSummary> {
    let Packed { file, fidelity } = pack(weights, options, noise, extra_bytes, progress)?;
    let bytes = match key {
        Some(key) => key.sign(&file.bytes)?,
        None => file.bytes,
    };
    files::replace(output, |out| out.write_all(&bytes)).with_context(|| format!("{}", output.display()))?;
    let pack = Pack::open(&bytes)?;
    Ok(PackSummary {
        pack: output.into(),
        pack_bytes: bytes.len(),
        parts: file.parts,
        ram_bytes: pack.ram().total(),
        ram: pack.ram().into(),
        psnr_db: fidelity.mean_db,
        psnr_worst_db: fidelity.worst_db,
        psnr_images: fidelity.images,
        sha256: sha256(&bytes),
        signed: key.map(|key| key.public().id()),
        need: Need::of_pack(&pack),
        fit: None,
        layers: file.layers,
    })
}

/// Bytes of RAM for an image on a device, by part, without the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RamParts {
    /// Feature rows that wait for their neighbours.
    rows: usize,
    /// Rows of the images of the lower resolutions.
    image: usize,
    /// Rows being computed.
    scratch: usize,
    styles: usize,
    /// Demodulation factors.
    factors: usize,
    /// Memory of the mapping network in addition to these.
    mapping: usize,
}

impl From<Ram> for RamParts {
    fn from(Ram { rows, image, scratch, styles, factors, mapping }: Ram) -> Self {
        Self { rows, image, scratch, styles, factors, mapping }
    }
}

impl std::fmt::Display for RamParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, image, scratch, styles, factors, mapping } = self;
        write!(
            f,
            "rows {rows}, image {image}, scratch {scratch}, styles {styles}, factors {factors}, mapping {mapping}"
        )
    }
}

impl PackSummary {
    pub fn text(&self) -> String {
        let fit = self.fit.as_ref().map(|fit| format!("\n{} (estimated)", fit.line()));
        let wide: Vec<&str> = self.layers.iter().filter(|layer| layer.bits == 16).map(|layer| &*layer.name).collect();
        let wide = if wide.is_empty() { String::new() } else { format!("\n16 bit {}", wide.join(", ")) };
        let signed = self.signed.as_ref().map(|id| format!("\nsigned by key {id}")).unwrap_or_default();
        format!(
            "{}\nflash  {} bytes (mapping {}, affine {}, conv {}, toRGB {}, noise {}, tables {}){wide}\nRAM    {} bytes ({})\n\
             PSNR   {:.1} dB mean, {:.1} dB worst, against the float generator over {} seeds{signed}{}",
            self.pack.display(),
            self.pack_bytes,
            self.parts.mapping,
            self.parts.affine,
            self.parts.conv,
            self.parts.torgb,
            self.parts.noise,
            self.parts.tables,
            self.ram_bytes,
            self.ram,
            self.psnr_db,
            self.psnr_worst_db,
            self.psnr_images,
            fit.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_folders_whole_and_a_files_without_its_extension() {
        for (path, name) in [
            ("a/ffhq.pkl", "ffhq"),
            ("cagc-ratio-0.9-seed0/", "cagc-ratio-0.9-seed0"),
            ("runs/cagc-ratio-0.9", "cagc-ratio-0.9"),
            ("network-snapshot-000600.kimg.PT", "network-snapshot-000600.kimg"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
        }
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("x.pt");
        std::fs::create_dir(&run).unwrap();
        assert_eq!(name_of(&run), "x.pt");
        assert_eq!(name_of(&run.join("..")), folder.path().file_name().unwrap().to_string_lossy());
    }

    #[test]
    fn a_long_name_is_cut_on_a_character() {
        let name = |text: String| name_of(Path::new(&text));
        assert_eq!(name("n".repeat(80)), "n".repeat(64));
        assert_eq!(name(format!("{}\u{e9}\u{e9}.pkl", "n".repeat(61))), format!("{}\u{e9}", "n".repeat(61)));
    }
}
