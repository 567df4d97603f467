//! A walk through latent space, image by image.

use nickeldime_core::generator::Noise;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arguments::{Drawing, chosen, q14};
use crate::device::Device;
use crate::pack::Pack;

/// The images of a walk, drawn one by one as they are asked for.
#[pyclass(module = "nickeldime")]
pub(crate) struct Walk {
    by: Draws,
    seeds: Vec<u64>,
    steps: u32,
    psi: i16,
    noise: Noise,
    /// The number of the next image.
    at: u64,
}

/// Who draws.
enum Draws {
    Pack(Py<Pack>),
    Device(Py<Device>),
}

impl Walk {
    /// A walk that is drawn here.
    pub fn over_pack(pack: Py<Pack>, seeds: Vec<u64>, steps: u32, psi: f64, noise: Option<&str>) -> PyResult<Self> {
        let kind = pack.get().noise_kind();
        Self::new(Draws::Pack(pack), kind, seeds, steps, psi, noise)
    }

    /// A walk that a board draws.
    pub fn over_device(
        py: Python<'_>,
        device: Py<Device>,
        seeds: Vec<u64>,
        steps: u32,
        psi: f64,
        noise: Option<&str>,
    ) -> PyResult<Self> {
        let kind = device.get().noise_kind(py)?;
        Self::new(Draws::Device(device), kind, seeds, steps, psi, noise)
    }

    fn new(
        by: Draws,
        kind: nickeldime_core::pack::NoiseKind,
        seeds: Vec<u64>,
        steps: u32,
        psi: f64,
        noise: Option<&str>,
    ) -> PyResult<Self> {
        let Some(&first) = seeds.first() else { return Err(PyValueError::new_err("a walk needs a seed at least")) };
        if steps == 0 {
            return Err(PyValueError::new_err("a walk has at least one step from a seed to the next"));
        }
        // One noise all the way: a new one for every image would flicker.
        let noise = chosen(noise, kind, first)?;
        Ok(Self { by, seeds, steps, psi: q14("psi", psi)?, noise, at: 0 })
    }

    /// The images of the whole walk.
    fn count(&self) -> u64 {
        (self.seeds.len() as u64 - 1) * u64::from(self.steps) + 1
    }
}

#[pymethods]
impl Walk {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.at >= self.count() {
            return Ok(None);
        }
        let (leg, step) = (self.at / u64::from(self.steps), self.at % u64::from(self.steps));
        let leg = usize::try_from(leg).unwrap_or(usize::MAX);
        let first = self.seeds.get(leg).copied().unwrap_or_default();
        let second = self.seeds.get(leg + 1).copied().unwrap_or(first);
        let weight = step as f64 / f64::from(self.steps);
        let drawing = Drawing::between([first, second], weight, self.psi, self.noise)?;
        let image = match &self.by {
            Draws::Pack(pack) => pack.get().draw(py, &drawing),
            Draws::Device(device) => device.get().draw(py, &drawing),
        }?;
        self.at += 1;
        Ok(Some(image))
    }

    /// Images that are left.
    fn __len__(&self) -> usize {
        usize::try_from(self.count() - self.at).unwrap_or(usize::MAX)
    }
}
