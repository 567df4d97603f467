//! A pack, and its images made here.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use nickeldime_core::generator::{GenerateError, generate};
use nickeldime_core::hash::Sha256;
use nickeldime_core::hex::Hex;
use nickeldime_core::pack::{self as core_pack, NoiseKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arguments::{Arguments, Drawing, Interrupts};
use crate::array;
use crate::error;
use crate::walk::Walk;

/// A pack: one generator in integers.
///
/// The source is a path or the bytes of a file. Opening verifies all of it.
#[pyclass(frozen, module = "nickeldime")]
pub(crate) struct Pack {
    bytes: Vec<u8>,
    /// The path, or a word for bytes: for errors.
    source: String,
    name: String,
    resolution: usize,
    channels: usize,
    z_dim: usize,
    w_dim: usize,
    num_ws: usize,
    workspace_len: usize,
    noise: NoiseKind,
    sha256: String,
}

/// The bytes of a source, and a name for it.
fn read(source: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, String)> {
    if let Ok(bytes) = source.cast::<PyBytes>() {
        return Ok((bytes.as_bytes().to_vec(), "the pack".to_owned()));
    }
    let path: PathBuf = source.extract()?;
    let bytes = fs::read(&path).map_err(|error| error::file(&path, &error))?;
    Ok((bytes, path.display().to_string()))
}

impl Pack {
    /// Reads and verifies a pack.
    pub fn open(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (bytes, source_name) = read(source)?;
        source.py().detach(|| Self::verified(bytes, source_name))
    }

    fn verified(bytes: Vec<u8>, source: String) -> PyResult<Self> {
        let pack = core_pack::Pack::open(&bytes).map_err(|error| error::pack(&source, error))?;
        let mut hash = Sha256::new();
        hash.update(&bytes);
        Ok(Self {
            name: pack.name().to_owned(),
            resolution: pack.resolution(),
            channels: pack.channels(),
            z_dim: pack.z_dim(),
            w_dim: pack.w_dim(),
            num_ws: pack.num_ws(),
            workspace_len: pack.workspace_len(),
            noise: pack.noise_default(),
            sha256: Hex(&hash.finalize()).to_string(),
            source,
            bytes,
        })
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Draws one image.
    fn draw<'py>(&self, py: Python<'py>, drawing: &Drawing) -> PyResult<Bound<'py, PyAny>> {
        let pixels = py.detach(|| self.pixels(drawing))?;
        array::image(py, self.resolution, &pixels)
    }

    fn pixels(&self, drawing: &Drawing) -> PyResult<Vec<u8>> {
        let pack = core_pack::Pack::reopen(&self.bytes).map_err(|error| error::pack(&self.source, error))?;
        let mut workspace = vec![0; self.workspace_len];
        let mut pixels = Vec::with_capacity(self.channels * self.resolution * self.resolution);
        let mut interrupts = Interrupts::new();
        let drawn = generate(&pack, &drawing.sample(), &mut workspace, &mut |_, row| {
            pixels.extend_from_slice(row);
            if interrupts.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        interrupts.end()?;
        drawn.map_err(|error| match error {
            GenerateError::LatentLength => PyValueError::new_err(format!(
                "{error}: z has {}, w has {}, and a w for every layer has {} times {} numbers",
                self.z_dim, self.w_dim, self.num_ws, self.w_dim
            )),
            error => PyValueError::new_err(format!("{}: {error}", self.source)),
        })?;
        Ok(pixels)
    }
}

#[pymethods]
impl Pack {
    #[new]
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::open(source)
    }

    /// The name that the packer gave it.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Height and width of its images in pixels.
    #[getter]
    fn resolution(&self) -> usize {
        self.resolution
    }

    /// Bytes of a pixel: 3 for red, green and blue, 1 for grey.
    #[getter]
    fn channels(&self) -> usize {
        self.channels
    }

    /// Numbers in z.
    #[getter]
    fn z_dim(&self) -> usize {
        self.z_dim
    }

    /// Numbers in w.
    #[getter]
    fn w_dim(&self) -> usize {
        self.w_dim
    }

    /// Layers that take a w.
    #[getter]
    fn num_ws(&self) -> usize {
        self.num_ws
    }

    /// Bytes of RAM that a board draws it in.
    #[getter]
    fn workspace_bytes(&self) -> usize {
        4 * self.workspace_len
    }

    /// The noise that it was made to be shown with: "none", "const" or "random".
    #[getter]
    fn noise(&self) -> &'static str {
        noise_name(self.noise)
    }

    /// SHA-256 of the file, in hexadecimal.
    #[getter]
    fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of the file.
    fn __len__(&self) -> usize {
        self.bytes.len()
    }

    fn __repr__(&self) -> String {
        format!("<nickeldime.Pack {:?}, {size}x{size}, {} bytes>", self.name, self.bytes.len(), size = self.resolution)
    }

    /// Draws one image: an array [resolution, resolution, channels] of uint8, the same bytes as every board draws.
    ///
    /// psi is the truncation: 1 leaves images as they are, 0 gives the mean image. w is [w_dim], or [num_ws, w_dim] for a
    /// w for every layer, and z is [z_dim]; both take the seed's place. mix is (other seed, first layer that is the other
    /// seed's), towards is (other seed, how far to go in w). noise is "none", "const", "random" (by the seed), or None for
    /// the pack's own.
    #[pyo3(signature = (seed = 0, psi = 1.0, w = None, *, z = None, mix = None, towards = None, noise = None))]
    #[allow(clippy::too_many_arguments, reason = "they have names in Python")]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        psi: f64,
        w: Option<&Bound<'py, PyAny>>,
        z: Option<&Bound<'py, PyAny>>,
        mix: Option<(u64, u8)>,
        towards: Option<(u64, f64)>,
        noise: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let drawing = Arguments { seed, psi, w, z, mix, towards, noise }.checked(self.noise)?;
        self.draw(py, &drawing)
    }

    /// Walks through the seeds in w: an iterator with `steps` images from each seed to the next, and the last seed's.
    #[pyo3(signature = (seeds, steps = 8, psi = 1.0, *, noise = None))]
    fn walk(slf: &Bound<'_, Self>, seeds: Vec<u64>, steps: u32, psi: f64, noise: Option<&str>) -> PyResult<Walk> {
        let pack = slf.clone().unbind();
        let kind = slf.get().noise;
        Walk::new(Box::new(move |py, drawing| pack.get().draw(py, drawing)), kind, seeds, steps, psi, noise)
    }
}

/// A kind of noise as Python names it.
pub(crate) fn noise_name(noise: NoiseKind) -> &'static str {
    match noise {
        NoiseKind::None => "none",
        NoiseKind::Const => "const",
        NoiseKind::Random => "random",
    }
}
