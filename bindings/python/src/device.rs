//! A board at a serial port.

use std::ops::ControlFlow;
use std::sync::{Mutex, TryLockError};

use nickeldime_core::hex::Hex;
use nickeldime_core::pack::NoiseKind;
use nickeldime_link::{Client, PortError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{Arguments, Drawing, Interrupts};
use crate::array;
use crate::error::{self, DeviceError};
use crate::pack::{Pack, noise_name};
use crate::walk::Walk;

/// A board at a serial port, such as "/dev/ttyACM0" or "COM3".
///
/// Only one call at a time can use a board.
#[pyclass(frozen, module = "nickeldime")]
pub(crate) struct Device {
    port: String,
    /// Nothing after `close`.
    client: Mutex<Option<Client>>,
}

impl Device {
    /// Runs `work` on the connection without Python's lock.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Client) -> PyResult<T> + Send) -> PyResult<T> {
        py.detach(|| {
            let mut client = match self.client.try_lock() {
                Ok(client) => client,
                // A panic in another call: the connection itself is whole.
                Err(TryLockError::Poisoned(client)) => client.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    let text = format!("{}: another call is using this board: wait for its end", self.port);
                    return Err(DeviceError::new_err(text));
                }
            };
            match &mut *client {
                Some(client) => work(client),
                None => Err(DeviceError::new_err(format!("{}: this device was closed: open it again", self.port))),
            }
        })
    }

    /// The noise that the loaded model was made to be shown with.
    fn noise_kind(&self, py: Python<'_>) -> PyResult<NoiseKind> {
        self.with(py, |client| Ok(client.board().model.as_ref().map_or(NoiseKind::None, |model| model.noise)))
    }

    /// Has the board draw one image.
    fn draw<'py>(&self, py: Python<'py>, drawing: &Drawing) -> PyResult<Bound<'py, PyAny>> {
        let image = self.with(py, |client| {
            let mut interrupts = Interrupts::new();
            let image = client.sample(&drawing.sample(), &mut |_, _| {
                if interrupts.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            interrupts.end()?;
            image.map_err(|error| error::port(&error))
        })?;
        array::image(py, image.resolution, &image.pixels)
    }
}

#[pymethods]
impl Device {
    #[new]
    fn new(py: Python<'_>, port: String) -> PyResult<Self> {
        let client = py.detach(|| Client::open(&port)).map_err(|error| error::port(&error))?;
        Ok(Self { port, client: Mutex::new(Some(client)) })
    }

    /// The port.
    #[getter]
    fn port(&self) -> &str {
        &self.port
    }

    /// The board's name.
    #[getter]
    fn board(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |client| Ok(client.board().board.clone()))
    }

    /// Version of the board's firmware.
    #[getter]
    fn firmware(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |client| Ok(client.board().firmware.clone()))
    }

    /// Bytes that the board has for packs in all.
    #[getter]
    fn storage(&self, py: Python<'_>) -> PyResult<u32> {
        self.with(py, |client| Ok(client.board().storage))
    }

    /// Bytes of RAM that the board draws in.
    #[getter]
    fn workspace(&self, py: Python<'_>) -> PyResult<u32> {
        self.with(py, |client| Ok(client.board().workspace))
    }

    /// The loaded model as a dict, or None: name, sha256, bytes, resolution, channels, z_dim, w_dim and noise.
    #[getter]
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(model) = self.with(py, |client| Ok(client.board().model.clone()))? else { return Ok(None) };
        let dict = PyDict::new(py);
        dict.set_item("name", model.name)?;
        dict.set_item("sha256", Hex(&model.sha256).to_string())?;
        dict.set_item("bytes", model.len)?;
        dict.set_item("resolution", model.resolution)?;
        dict.set_item("channels", model.channels)?;
        dict.set_item("z_dim", model.z_dim)?;
        dict.set_item("w_dim", model.w_dim)?;
        dict.set_item("noise", noise_name(model.noise))?;
        Ok(Some(dict))
    }

    fn __repr__(&self) -> String {
        format!("<nickeldime.Device {:?}>", self.port)
    }

    /// Sends a pack (a Pack, a path or the bytes of a file) and makes it the board's model; only what the board lacks goes
    /// over the line. `progress(done, total)` is called as its bytes arrive; an exception that it raises is raised again
    /// when the pack has been sent.
    ///
    /// Returns a dict: already_loaded, bytes (that went over the line), kept (that the board had) and seconds.
    #[pyo3(signature = (pack, progress = None))]
    fn send<'py>(
        &self,
        py: Python<'py>,
        pack: &Bound<'py, PyAny>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let opened;
        let pack = match pack.cast::<Pack>() {
            Ok(pack) => pack.get(),
            Err(_) => {
                opened = Pack::open(pack)?;
                &opened
            }
        };
        let sent = self.with(py, |client| {
            let mut interrupts = Interrupts::new();
            let sent = client.upload(pack.bytes(), &mut |done, total| {
                if let Some(progress) = &progress
                    && !interrupts.stopped()
                    && let Err(raised) = Python::attach(|py| progress.call1(py, (done, total)).map(drop))
                {
                    interrupts.keep(raised);
                }
            });
            let sent = sent.map_err(|error| error::port(&error))?;
            interrupts.end()?;
            Ok(sent)
        })?;
        let dict = PyDict::new(py);
        dict.set_item("already_loaded", sent.already_loaded)?;
        dict.set_item("bytes", sent.bytes)?;
        dict.set_item("kept", sent.kept)?;
        dict.set_item("seconds", sent.elapsed.as_secs_f64())?;
        Ok(dict)
    }

    /// Empties the board's storage, its model included.
    fn erase(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |client| client.erase().map_err(|error: PortError| error::port(&error)))
    }

    /// Has the board draw one image of its model. The arguments are those of Pack.sample.
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
        let drawing = Arguments { seed, psi, w, z, mix, towards, noise }.checked(self.noise_kind(py)?)?;
        self.draw(py, &drawing)
    }

    /// Walks through the seeds in w: an iterator with `steps` images from each seed to the next, and the last seed's. The
    /// board draws an image when it is asked for.
    #[pyo3(signature = (seeds, steps = 8, psi = 1.0, *, noise = None))]
    fn walk(slf: &Bound<'_, Self>, seeds: Vec<u64>, steps: u32, psi: f64, noise: Option<&str>) -> PyResult<Walk> {
        let device = slf.clone().unbind();
        let kind = slf.get().noise_kind(slf.py())?;
        Walk::new(Box::new(move |py, drawing| device.get().draw(py, drawing)), kind, seeds, steps, psi, noise)
    }

    /// Closes the port. A `with` statement does so at its end.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| match self.client.try_lock() {
            Ok(mut client) => {
                *client = None;
                Ok(())
            }
            Err(_) => Err(DeviceError::new_err(format!("{}: another call is using this board", self.port))),
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}
