//! Reads latents from files: safetensors, and NumPy's `.npy` and `.npz`, as projectors and encoders write them.
//!
//! NumPy's format is one header line and the numbers, and latents use only two of its number formats, so it is read here
//! without a crate. A header is never trusted: the memory used depends on the bytes that are present.

use std::{
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use ndarray::{ArrayD, Axis, IxDyn};
use nickeldime_checkpoint::{self as checkpoint, CheckpointError, read_tensors};
use zip::ZipArchive;

use super::latents::Latents;

/// Why latents were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatentError {
    /// The file could not be read, or its safetensors content is damaged.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The file is damaged, has another format, or holds no latents.
    #[error("{}: {problem}", .file.display())]
    Latents {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

/// Largest size of the unpacked contents in bytes, which bounds compressed files. It is far above that of any real set
/// of latents.
const MOST_BYTES: u64 = 1 << 30;

/// Reads latents: the tensor `z` `[N, z_dim]`, or `w` as `[N, w_dim]` (the same w for every layer) or
/// `[N, num_ws, w_dim]` (one for each). A `.npy` file has one array without a name; it is w if it has three axes, and z
/// if it has fewer. A vector is one latent.
///
/// # Errors
/// A file that is missing, damaged or of another format; both z and w, or neither; other axes; numbers that are not
/// finite.
pub fn read(path: &Path) -> Result<Latents, LatentError> {
    let bytes = checkpoint::read_file(path)?;
    let wrong = |problem: String| LatentError::Latents { file: path.into(), problem };
    let mut arrays: Vec<(String, ArrayD<f32>)> = match bytes[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => vec![(String::new(), npy(&bytes).map_err(wrong)?)],
        [b'P', b'K', 3 | 5, ..] => npz(&bytes).map_err(wrong)?,
        _ => read_tensors(path)?.0.into_iter().collect(),
    };
    arrays.retain(|(name, _)| ["z", "w", ""].contains(&&name[..]));
    let (name, array) = match &mut arrays[..] {
        [one] => std::mem::take(one),
        [] => return Err(wrong("has neither z [N, z_dim] nor w [N, w_dim] or [N, num_ws, w_dim]".into())),
        _ => return Err(wrong("has both z and w; keep one".into())),
    };
    let shown = if name.is_empty() { "the array".into() } else { name.clone() };
    if array.is_empty() {
        return Err(wrong(format!("{shown} is empty")));
    }
    if array.iter().any(|x| !x.is_finite()) {
        return Err(wrong(format!("{shown} has numbers that are not finite")));
    }
    let shape = array.shape().to_vec();
    let misshapen = |_| wrong(format!("{shown} has shape {shape:?}, expected [N, width], or of w [N, num_ws, width]"));
    let array = if shape.len() == 1 { array.insert_axis(Axis(0)) } else { array };
    Ok(match (&name[..], array.ndim()) {
        ("w", 2) => Latents::W(array.into_dimensionality().map_err(misshapen)?),
        ("w" | "", 3) => Latents::LayerW(array.into_dimensionality().map_err(misshapen)?),
        _ => Latents::Z(array.into_dimensionality().map_err(misshapen)?),
    })
}

/// The arrays of a `.npz`, which is a zip of `.npy` files, compressed or not, by their names.
fn npz(bytes: &[u8]) -> Result<Vec<(String, ArrayD<f32>)>, String> {
    let damaged = |e: zip::result::ZipError| format!("a zip that cannot be read: {e}");
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut arrays = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let Some(name @ ("z" | "w")) = name.strip_suffix(".npy") else { continue };
        let mut own = Vec::new();
        entry.take(MOST_BYTES).read_to_end(&mut own).map_err(|e| format!("{name}: {e}: damaged"))?;
        arrays.push((name.into(), npy(&own).map_err(|problem| format!("{name}: {problem}"))?));
    }
    Ok(arrays)
}

/// Reads one array of floats, in either order of bytes and of axes.
fn npy(bytes: &[u8]) -> Result<ArrayD<f32>, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a .npy file")?;
    let (header, data) = match *rest {
        [1, _, low, high, ref rest @ ..] => rest.split_at_checked(u16::from_le_bytes([low, high]).into()),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => {
            usize::try_from(u32::from_le_bytes([a, b, c, d])).ok().and_then(|length| rest.split_at_checked(length))
        }
        _ => return Err("a .npy file of an unknown version".into()),
    }
    .ok_or("a header beyond the file: cut short or damaged")?;
    let header = std::str::from_utf8(header).map_err(|_| "a header that is no text: damaged")?;
    let descr = field(header, "descr").ok_or("a header without descr: damaged")?;
    let (numbers, size): (fn(&[u8]) -> f32, usize) = match descr.trim_matches(['\'', '"']) {
        "<f4" => (|b| f32::from_le_bytes(b.try_into().unwrap_or_default()), 4),
        ">f4" => (|b| f32::from_be_bytes(b.try_into().unwrap_or_default()), 4),
        "<f8" => (|b| f64::from_le_bytes(b.try_into().unwrap_or_default()) as f32, 8),
        ">f8" => (|b| f64::from_be_bytes(b.try_into().unwrap_or_default()) as f32, 8),
        other => {
            let other = other.escape_default().take(20).collect::<String>();
            return Err(format!("numbers of type {other}: expected float32 or float64 (array.astype(\"float32\"))"));
        }
    };
    let columns_first = match field(header, "fortran_order") {
        Some("True") => true,
        Some("False") => false,
        _ => return Err("a header without fortran_order: damaged".into()),
    };
    let shape = field(header, "shape").and_then(|shape| shape.strip_prefix('(')?.strip_suffix(')'));
    let shape = shape.ok_or("a header without a shape: damaged")?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(str::parse::<usize>);
    let shape: Vec<usize> = axes.collect::<Result<_, _>>().map_err(|_| "a shape that is none: damaged")?;
    let bytes = shape.iter().try_fold(size, |n, &axis| n.checked_mul(axis));
    if shape.len() > 8 || bytes != Some(data.len()) {
        return Err(format!("shape {shape:?} in {} bytes of numbers: cut short or damaged", data.len()));
    }
    let values: Vec<f32> = data.chunks_exact(size).map(numbers).collect();
    let wrong = |e: ndarray::ShapeError| e.to_string();
    if columns_first {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        return Ok(ArrayD::from_shape_vec(IxDyn(&reversed), values).map_err(wrong)?.reversed_axes());
    }
    ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(wrong)
}

/// A value of the header, which is a Python dict with the keys `descr`, `fortran_order` and `shape`.
fn field<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let after =
        ['\'', '"'].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}:")[..]))?.1.trim_start();
    let end = match after.starts_with('(') {
        true => after.find(')')? + 1,
        false => after.find([',', '}'])?,
    };
    Some(after[..end].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY".to_vec();
        file.extend([version, 0]);
        match version {
            1 => file.extend((header.len() as u16).to_le_bytes()),
            _ => file.extend((header.len() as u32).to_le_bytes()),
        }
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    fn bytes<const N: usize>(numbers: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        numbers.into_iter().flatten().collect()
    }

    #[test]
    fn every_order_and_width_gives_the_same_numbers() {
        let rows = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let columns = [1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0];
        let header = |descr: &str, fortran: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (2, 3), }}      \n")
        };
        for version in [1, 2, 3] {
            for bytes in [
                file(version, &header("<f4", "False"), &bytes(rows.map(f32::to_le_bytes))),
                file(version, &header(">f4", "False"), &bytes(rows.map(f32::to_be_bytes))),
                file(version, &header("<f8", "False"), &bytes(rows.map(|v| f64::from(v).to_le_bytes()))),
                file(version, &header("<f4", "True"), &bytes(columns.map(f32::to_le_bytes))),
            ] {
                let array = npy(&bytes).unwrap();
                assert_eq!((array.shape(), array.iter().copied().collect::<Vec<_>>()), (&[2, 3][..], rows.to_vec()));
            }
        }
    }

    #[test]
    fn what_is_no_array_of_floats_is_refused() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
        assert!(npy(&file(1, good, &[0; 8])).is_ok());
        for (wrong, said) in [
            (file(1, good, &[0; 7]), "shape [2] in 7 bytes"),
            (file(4, good, &[0; 8]), "version"),
            (file(1, &good.replace("<f4", "<i8"), &[0; 16]), "type <i8"),
            (file(1, &good.replace("<f4", "|O"), &[0; 8]), "type |O"),
            (file(1, &good.replace("(2,)", "(18446744073709551615, 2)"), &[0; 8]), "shape"),
            (file(1, &good.replace("(2,)", "(-2,)"), &[0; 8]), "a shape that is none"),
            (file(1, &good.replace("shape", "form"), &[0; 8]), "without a shape"),
            (b"\x93NUMPY\x01\0\xff\xff{".to_vec(), "beyond the file"),
            (b"\x93NUMPY".to_vec(), "version"),
        ] {
            let error = npy(&wrong).unwrap_err();
            assert!(error.contains(said), "{error}: no {said}");
        }
        let whole = file(1, good, &[0; 8]);
        for end in 0..whole.len() {
            assert!(npy(&whole[..end]).is_err());
        }
    }
}
