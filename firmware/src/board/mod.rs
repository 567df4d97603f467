//! The boards. Each file gives the same names: `NAME`, `entry` (the attribute of its runtime), `take() -> Parts`,
//! `idle`, `halt`.

use nickeldime_core::device::Buffers;

#[cfg(feature = "qemu-m4")]
mod qemu_m4;
#[cfg(feature = "qemu-m4")]
pub use qemu_m4::*;

#[cfg(not(any(feature = "qemu-m4")))]
compile_error!("choose a board: --features qemu-m4");
// With a second board comes: compile_error! when two of them are chosen.

/// What a board hands to the device.
pub struct Parts<S, F, C> {
    /// The line to the host.
    pub serial: S,
    /// Where packs live.
    pub flash: F,
    /// For timing images.
    pub clock: C,
    /// RAM for requests, replies and the generator.
    pub buffers: Buffers<'static>,
}
