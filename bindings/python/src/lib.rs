//! The Python module `nickeldime`: images of packs as NumPy arrays, and boards over a serial line.
//!
//! ```text
//!   pack, device               a pack's images, drawn here; a board's
//!   walk                       image after image
//!   arguments, array, error    what Python gives; what Python gets
//! ```
//!
//! `nickeldime.pyi` has the types and is tested against the module. Long work runs without Python's lock.

mod arguments;
mod array;
mod device;
mod error;
mod pack;
mod walk;

use pyo3::prelude::*;

/// Images of StyleGAN2 packs, and boards that draw them.
#[pymodule]
fn nickeldime(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("PACK_FORMAT", nickeldime_core::pack::FORMAT_VERSION)?;
    module.add("PROTOCOL", nickeldime_core::link::PROTOCOL_VERSION)?;
    module.add_class::<pack::Pack>()?;
    module.add_class::<device::Device>()?;
    module.add_class::<walk::Walk>()?;
    error::add(module)
}
