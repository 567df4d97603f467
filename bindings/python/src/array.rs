//! NumPy arrays, by NumPy's own functions.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};

/// An array `[resolution, resolution, channels]` of uint8, which may be written to.
pub(crate) fn image<'py>(py: Python<'py>, resolution: usize, pixels: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let channels = pixels.len() / (resolution * resolution).max(1);
    let flat = py.import("numpy")?.call_method1("frombuffer", (PyByteArray::new(py, pixels), "uint8"))?;
    flat.call_method1("reshape", (resolution, resolution, channels))
}

/// The numbers of anything that NumPy makes an array of, and their shape.
pub(crate) fn numbers(values: &Bound<'_, PyAny>) -> PyResult<(Vec<f32>, Vec<usize>)> {
    let py = values.py();
    let options = PyDict::new(py);
    options.set_item("dtype", "<f4")?;
    let array = py.import("numpy")?.call_method("ascontiguousarray", (values,), Some(&options))?;
    let bytes = array.call_method0("tobytes")?;
    let bytes = bytes.cast::<PyBytes>()?.as_bytes();
    let (words, _) = bytes.as_chunks::<4>();
    Ok((words.iter().map(|word| f32::from_le_bytes(*word)).collect(), array.getattr("shape")?.extract()?))
}
