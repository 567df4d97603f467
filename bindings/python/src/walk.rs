//! A walk through latent space, image by image.

use nickeldime_core::generator::Noise;
use nickeldime_core::pack::NoiseKind;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arguments::{Drawing, chosen, q14};

/// The images of a walk, drawn one by one as they are asked for.
#[pyclass(module = "nickeldime")]
pub(crate) struct Walk {
    draw: Draw,
    seeds: Vec<u64>,
    steps: u32,
    psi: i16,
    noise: Noise,
    /// The number of the next image.
    at: u64,
}

/// Draws one image of the walk.
pub(crate) type Draw = Box<dyn for<'py> Fn(Python<'py>, &Drawing) -> PyResult<Bound<'py, PyAny>> + Send + Sync>;

impl Walk {
    /// A walk through `seeds` whose images `draw` makes, of a model that was made to be shown with `kind`.
    pub fn new(
        draw: Draw,
        kind: NoiseKind,
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
        Ok(Self { draw, seeds, steps, psi: q14("psi", psi)?, noise, at: 0 })
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
        let image = (self.draw)(py, &drawing)?;
        self.at += 1;
        Ok(Some(image))
    }

    /// Images that are left.
    fn __len__(&self) -> usize {
        usize::try_from(self.count() - self.at).unwrap_or(usize::MAX)
    }
}
