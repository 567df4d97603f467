//! Exceptions, with the sentences of the Rust errors.

use std::fmt::Display;
use std::io;
use std::path::Path;

use nickeldime_link::PortError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::prelude::*;

create_exception!(nickeldime, Error, PyException, "What all exceptions of this module are.");
create_exception!(nickeldime, PackError, Error, "A file is no pack, or this version cannot draw it.");
create_exception!(nickeldime, DeviceError, Error, "A board does not answer, refuses, or the line to it broke.");

/// Adds the exceptions to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", py.get_type::<Error>())?;
    module.add("PackError", py.get_type::<PackError>())?;
    module.add("DeviceError", py.get_type::<DeviceError>())
}

/// A pack that cannot be drawn; `name` says which.
pub(crate) fn pack(name: &str, error: impl Display) -> PyErr {
    PackError::new_err(format!("{name}: {error}"))
}

/// A board.
pub(crate) fn port(error: &PortError) -> PyErr {
    DeviceError::new_err(error.to_string())
}

/// A file that cannot be read: Python makes `FileNotFoundError` and the like of the number.
pub(crate) fn file(path: &Path, error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            // "No such file or directory (os error 2)": Python writes the number itself.
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text, path.to_path_buf()))
        }
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}
