//! A pack that is read in place.

use core::ffi::c_void;
use core::mem::{align_of, size_of};
use core::ptr::addr_of;
use core::slice;

use nickeldime_core::pack::Pack;

use crate::status::Status;

/// Words of an `nd_model`.
pub const ND_MODEL_WORDS: usize = 320;

/// Bytes at a pack's begin that tell its length.
pub const ND_PREFIX_BYTES: usize = 64;

/// An open pack, in memory of the caller's. What it holds is the library's business; it may be copied, and needs no end.
#[repr(C)]
pub struct Model {
    /// Opaque.
    pub opaque: [u64; ND_MODEL_WORDS],
}

/// The sizes of a model.
#[repr(C)]
pub struct Sizes {
    /// Height and width of its images in pixels.
    pub resolution: u32,
    /// Bytes of a pixel: 3 for red, green and blue, 1 for grey.
    pub channels: u32,
    /// Numbers in z.
    pub z_dim: u32,
    /// Numbers in w.
    pub w_dim: u32,
    /// Layers that take a w.
    pub num_ws: u32,
    /// Bytes of RAM that `nd_draw` works in.
    pub workspace_bytes: usize,
}

/// The parts of an open model, inside its opaque struct.
#[repr(C)]
struct Open {
    mark: u64,
    pack: Pack<'static>,
}

/// The first word of an open model.
const OPEN: u64 = 0x6E64_6D6F_6465_6C31;

const _: () = assert!(size_of::<Open>() <= size_of::<Model>() && align_of::<Open>() <= align_of::<Model>());

/// The pack of an open model; `None` for null and for one that was never opened.
///
/// # Safety
/// `model` is null or readable, and was written by `nd_open` alone if its first word says so.
pub(crate) unsafe fn pack_of<'a>(model: *const Model) -> Option<&'a Pack<'static>> {
    let open: *const Open = model.cast();
    if open.is_null() || !open.is_aligned() {
        return None;
    }
    // SAFETY: readable, by the caller's promise; the mark says whether the rest was written.
    unsafe { (addr_of!((*open).mark).read() == OPEN).then(|| &(*open).pack) }
}

/// Returns the length in bytes of the pack that begins at `prefix`, from its first 64 bytes, or 0 when none begins there.
///
/// # Safety
/// `prefix` is null or has ND_PREFIX_BYTES readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_pack_bytes(prefix: *const c_void) -> usize {
    if prefix.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    let prefix = unsafe { slice::from_raw_parts(prefix.cast(), ND_PREFIX_BYTES) };
    Pack::stored_len(prefix).unwrap_or(0)
}

/// Verifies a pack and opens it in place: its hash, its sizes, and that no accumulator can overflow. It reads every byte
/// twice. A model that could not be opened is marked as such.
///
/// # Safety
/// `model` is null or writable. `pack` is null or has `bytes` readable bytes, which stay as they are while `model` is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_open(model: *mut Model, pack: *const c_void, bytes: usize) -> Status {
    let open: *mut Open = model.cast();
    if open.is_null() || !open.is_aligned() || pack.is_null() || isize::try_from(bytes).is_err() {
        return Status::Argument;
    }
    // SAFETY: writable, and large and aligned enough (asserted above). Nothing in it wants to be dropped.
    unsafe { (&raw mut (*open).mark).write(0) };
    // SAFETY: the caller's promise.
    match Pack::open(unsafe { slice::from_raw_parts(pack.cast(), bytes) }) {
        Ok(pack) => {
            // SAFETY: as above.
            unsafe { open.write(Open { mark: OPEN, pack }) };
            Status::Ok
        }
        Err(error) => error.into(),
    }
}

/// Tells the sizes of an open model.
///
/// # Safety
/// `model` is null, all zero, or was passed to `nd_open`. `sizes` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_model_sizes(model: *const Model, sizes: *mut Sizes) -> Status {
    // SAFETY: the caller's promise.
    let Some(pack) = (unsafe { pack_of(model) }) else { return Status::Argument };
    if sizes.is_null() || !sizes.is_aligned() {
        return Status::Argument;
    }
    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let told = Sizes {
        resolution: short(pack.resolution()),
        channels: short(pack.channels()),
        z_dim: short(pack.z_dim()),
        w_dim: short(pack.w_dim()),
        num_ws: short(pack.num_ws()),
        workspace_bytes: 4 * pack.workspace_len(),
    };
    // SAFETY: writable, by the caller's promise.
    unsafe { sizes.write(told) };
    Status::Ok
}
