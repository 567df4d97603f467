//! Reads and writes named tensors, and checkpoints, as safetensors files.
//!
//! The header is read here rather than by the `safetensors` crate: adding up the offsets of a hostile header overflows
//! there (a panic where overflows are checked), and it writes metadata in random order, which would make equal
//! checkpoints differ as files.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::{CheckpointError, printable};
use super::model::weights::{Checkpoint, RESAMPLE_FILTER, Tensors};
use super::networks::{self, Hints, TensorSource};
use super::number::DType;
use super::source::read_file;
use crate::files;
use crate::model::arch::{Shapes, block_resolution};

/// A safetensors file's `__metadata__`: short texts by name.
pub type Metadata = BTreeMap<String, String>;

/// Reads every tensor of a safetensors file, and its metadata. F32 is kept; F64, F16, BF16, I64, I32, U8 and
/// BOOL are converted to `f32`.
///
/// # Errors
/// A file that is missing, incomplete or not a safetensors file; another number format.
pub fn read_tensors(path: &Path) -> Result<(Tensors, Metadata), CheckpointError> {
    let bytes = read_file(path)?;
    let file = TensorFile::parse(path, &bytes)?;
    let tensors = file
        .header
        .tensors
        .keys()
        .map(|name| Ok((name.clone(), file.numbers(name)?)))
        .collect::<Result<_, CheckpointError>>()?;
    Ok((tensors, file.header.metadata))
}

/// Writes tensors as a safetensors file (F32). The file appears only when it is complete. Equal tensors make equal
/// files.
///
/// # Errors
/// Errors of the file system.
pub fn write_tensors(path: &Path, tensors: &Tensors, metadata: &Metadata) -> Result<(), CheckpointError> {
    let views = tensors.iter().map(|(name, a)| (name.clone(), a.view()));
    write(path, &views.collect(), metadata)
}

/// Writes a checkpoint as safetensors: `G_ema.*` and `D.*` under the official names, with the filters. The metadata
/// holds the architecture and the caller's own `notes`.
///
/// # Errors
/// Errors of the file system.
pub fn write_checkpoint(path: &Path, checkpoint: &Checkpoint, notes: &Metadata) -> Result<(), CheckpointError> {
    let filter = ArrayD::from_shape_fn(IxDyn(&[4, 4]), |at| RESAMPLE_FILTER[4 * at[0] + at[1]]);
    let mut views = Views::new();
    let mut metadata = notes.clone();
    let mut note = |key: &str, value: String| {
        metadata.insert(key.into(), value);
    };

    let generator = &checkpoint.generator;
    let arch = &generator.arch;
    for (name, array) in &generator.tensors {
        views.insert(format!("G_ema.{name}"), array.view());
    }
    for name in arch.filter_names() {
        views.insert(format!("G_ema.{name}"), filter.view());
    }
    note("resolution", arch.resolution().to_string());
    note("z_dim", arch.z_dim.to_string());
    note("w_dim", arch.w_dim.to_string());
    note("mapping_layers", arch.mapping_layers.to_string());
    note("channels", channel_list(&arch.channels));
    note("conv_clamp", clamp_text(arch.conv_clamp));

    if let Some(critic) = &checkpoint.discriminator {
        for (name, array) in &critic.tensors {
            views.insert(format!("D.{name}"), array.view());
        }
        for name in critic.arch.filter_names() {
            views.insert(format!("D.{name}"), filter.view());
        }
        note("mbstd_group_size", critic.arch.mbstd_group.to_string());
        note("d_conv_clamp", clamp_text(critic.arch.conv_clamp));
    }
    write(path, &views, &metadata)
}

/// Reads a checkpoint from a safetensors file's bytes, as [`networks::read`] finds it. Files that [`write_checkpoint`]
/// wrote have in their metadata what tensors do not show. Metadata that contradicts the tensors is an error.
pub(super) fn read_checkpoint(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let mut file = TensorFile::parse(path, bytes)?;
    let conv_clamp = file.clamp("conv_clamp", None)?;
    let hints = Hints {
        conv_clamp,
        critic_clamp: file.clamp("d_conv_clamp", conv_clamp)?,
        mbstd_group: file.value("mbstd_group_size")?.unwrap_or(Hints::default().mbstd_group),
    };
    let checkpoint = networks::read(&mut file, &hints)?;
    let arch = &checkpoint.generator.arch;
    file.agrees("resolution", arch.resolution())?;
    file.agrees("z_dim", arch.z_dim)?;
    file.agrees("w_dim", arch.w_dim)?;
    file.agrees("mapping_layers", arch.mapping_layers)?;
    file.agrees("channels", channel_list(&arch.channels))?;
    Ok(checkpoint)
}

/// True if a file begins as safetensors do: the length of a header, then JSON.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    match bytes.split_first_chunk() {
        Some((length, rest)) => u64::from_le_bytes(*length) <= LARGEST_HEADER as u64 && rest.first() == Some(&b'{'),
        None => false,
    }
}

/// Longest header in bytes. It is far above that of any network here, and keeps the parsed form small.
const LARGEST_HEADER: usize = 16 << 20;

type Views<'a> = BTreeMap<String, ArrayViewD<'a, f32>>;

fn write(path: &Path, tensors: &Views, metadata: &Metadata) -> Result<(), CheckpointError> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut end = 0;
    for (name, array) in tensors {
        let start = end;
        end += 4 * array.len();
        let entry = serde_json::json!({
            "dtype": "F32",
            "shape": array.shape(),
            "data_offsets": [start, end],
        });
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // The data begins at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let written = files::replace(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for array in tensors.values() {
            for number in array {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        Ok(())
    });
    written.map_err(|cause| CheckpointError::io(path, cause))
}

fn channel_list(channels: &[usize]) -> String {
    let blocks = channels.iter().enumerate();
    let blocks = blocks.map(|(i, c)| format!("{}:{c}", block_resolution(i)));
    blocks.collect::<Vec<_>>().join(",")
}

const NO_CLAMP: &str = "none";

fn clamp_text(conv_clamp: Option<f32>) -> String {
    conv_clamp.map_or(NO_CLAMP.into(), |c| c.to_string())
}

/// A parsed file: the header checked against the data, the data untouched.
pub(super) struct TensorFile<'a> {
    path: &'a Path,
    header: Header,
    data: &'a [u8],
}

impl<'a> TensorFile<'a> {
    /// Reads the header.
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            let problem = "too short for a safetensors file";
            return Err(CheckpointError::damaged(path, bytes.len(), problem));
        };
        let length = u64::from_le_bytes(*length);
        let header = usize::try_from(length).ok().filter(|&n| n <= LARGEST_HEADER);
        let Some((header, data)) = header.and_then(|n| rest.split_at_checked(n)) else {
            let problem = format!(
                "a header of {length} bytes, {} left in the file: not a safetensors file, or cut short",
                rest.len()
            );
            return Err(CheckpointError::damaged(path, 0, problem));
        };
        let base = 8 + header.len();
        let header: Header = serde_json::from_slice(header).map_err(|e| {
            // The header is one line of JSON, and everything before the column was read.
            let at = 8 + e.column().saturating_sub(1);
            let problem = format!("safetensors header: {}", printable(e.to_string().as_bytes()));
            CheckpointError::damaged(path, at, problem)
        })?;
        header.check(data.len()).map_err(|(name, problem)| {
            let place = format!("{} (data from byte {base})", printable(name.as_bytes()));
            CheckpointError::network(path, place, problem)
        })?;
        Ok(Self { path, header, data })
    }

    fn numbers(&self, name: &str) -> Result<ArrayD<f32>, CheckpointError> {
        let refuse = |problem: String| CheckpointError::network(self.path, printable(name.as_bytes()), problem);
        let found = self.header.tensors.get(name);
        let entry = found.ok_or_else(|| refuse("missing".into()))?;
        let number = entry.number().map_err(refuse)?;
        // The range is inside the data, because the header was checked.
        let bytes = self.data.get(entry.start..entry.end).unwrap_or_default();
        ArrayD::from_shape_vec(IxDyn(&entry.shape.0), number.read_all(bytes))
            .map_err(|e| refuse(format!("shape {:?}: {e}", entry.shape.0)))
    }

    fn value<T: FromStr>(&self, key: &str) -> Result<Option<T>, CheckpointError> {
        let Some(text) = self.header.metadata.get(key) else {
            return Ok(None);
        };
        let value = text.parse().map_err(|_| {
            let problem = format!("metadata says {:?}: not understood", printable(text.as_bytes()));
            CheckpointError::network(self.path, key, problem)
        });
        value.map(Some)
    }

    fn clamp(&self, key: &str, absent: Option<f32>) -> Result<Option<f32>, CheckpointError> {
        match self.header.metadata.get(key).map(String::as_str) {
            Some(NO_CLAMP) => Ok(None),
            Some(_) => self.value(key),
            None => Ok(absent),
        }
    }

    fn agrees(&self, key: &str, tensors: impl ToString) -> Result<(), CheckpointError> {
        let tensors = tensors.to_string();
        match self.header.metadata.get(key) {
            Some(text) if *text != tensors => {
                let said = printable(text.as_bytes());
                let problem = format!("metadata says {said}, the tensors {tensors}");
                Err(CheckpointError::network(self.path, key, problem))
            }
            _ => Ok(()),
        }
    }
}

impl TensorSource for TensorFile<'_> {
    fn path(&self) -> &Path {
        self.path
    }

    fn shapes(&self) -> Shapes {
        self.header.tensors.iter().map(|(name, entry)| (name.clone(), entry.shape.0.clone())).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<ArrayD<f32>, CheckpointError> {
        self.numbers(name)
    }
}

#[derive(Default)]
struct Header {
    metadata: Metadata,
    tensors: BTreeMap<String, Entry>,
}

struct Entry {
    dtype: String,
    shape: Shape,
    start: usize,
    end: usize,
}

/// Largest number of axes. More would only let a small header fill the memory.
const MOST_AXES: usize = 8;

struct Shape(Vec<usize>);

impl Entry {
    fn number(&self) -> Result<DType, String> {
        Ok(match &self.dtype[..] {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "I64" => DType::I64,
            "I32" => DType::I32,
            "U8" => DType::U8,
            "BOOL" => DType::Bool,
            other => {
                let other = printable(other.as_bytes());
                return Err(format!("number format {other} is not supported; convert it to F32"));
            }
        })
    }

    fn bytes(&self) -> Option<usize> {
        let axes = self.shape.0.iter();
        let numbers = axes.copied().try_fold(1, usize::checked_mul)?;
        numbers.checked_mul(self.number().ok()?.size())
    }
}

impl Header {
    /// Checks that every tensor is inside the data, that none overlap, and that all data is used.
    fn check(&self, data: usize) -> Result<(), (&str, String)> {
        let mut order: Vec<_> = self.tensors.iter().collect();
        order.sort_by_key(|(_, entry)| (entry.start, entry.end));
        let mut covered = 0;
        for (name, entry) in order {
            entry.number().map_err(|problem| (&name[..], problem))?;
            if entry.start != covered || entry.end < entry.start || entry.end > data {
                let (start, end) = (entry.start, entry.end);
                let problem =
                    format!("data {start}..{end}, expected from {covered} to at most {data}: damaged or cut short");
                return Err((name, problem));
            }
            if entry.bytes() != Some(entry.end - entry.start) {
                let bytes = entry.end - entry.start;
                let problem = format!("shape {:?} {} in {bytes} bytes", entry.shape.0, entry.dtype);
                return Err((name, problem));
            }
            covered = entry.end;
        }
        match covered == data {
            true => Ok(()),
            false => Err(("end of data", format!("{} bytes belong to no tensor", data - covered))),
        }
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                        continue;
                    }
                    #[derive(serde::Deserialize)]
                    #[serde(deny_unknown_fields)]
                    struct Raw {
                        dtype: String,
                        shape: Shape,
                        data_offsets: (usize, usize),
                    }
                    let raw: Raw = map.next_value()?;
                    let entry = Entry {
                        dtype: raw.dtype,
                        shape: raw.shape,
                        start: raw.data_offsets.0,
                        end: raw.data_offsets.1,
                    };
                    if header.tensors.insert(name, entry).is_some() {
                        return Err(de::Error::custom("the same tensor twice"));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "at most {MOST_AXES} sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut axes = Vec::new();
                while let Some(size) = seq.next_element()? {
                    if axes.len() == MOST_AXES {
                        return Err(de::Error::invalid_length(MOST_AXES + 1, &self));
                    }
                    axes.push(size);
                }
                Ok(Shape(axes))
            }
        }
        deserializer.deserialize_seq(Axes)
    }
}
