//! The board behind the link: callbacks and memory of the caller's, as the core's traits want them.

mod flash;
mod screen;
mod serial;

pub(crate) use flash::{Flash, ND_SECTOR_BYTES};
pub(crate) use screen::Screen;
pub(crate) use serial::Serial;

use core::ffi::{c_char, c_int, c_void};

use crate::draw::Row;

/// A board: its line, its flash and its memory. All of it stays valid while the device is used.
#[repr(C)]
pub struct Board {
    /// The board's name, which `nickeldime devices` shows: at most 32 bytes of UTF-8, and a zero.
    pub name: *const c_char,
    /// Passed to every callback.
    pub user: *mut c_void,
    /// Takes up to `most` bytes that have arrived and returns how many. It never waits: 0 says that none are there.
    pub read: Option<unsafe extern "C" fn(user: *mut c_void, bytes: *mut u8, most: usize) -> usize>,
    /// Sends bytes and returns how many the line took, waiting until it takes one at least. 0 says that the line is broken.
    pub write: Option<unsafe extern "C" fn(user: *mut c_void, bytes: *const u8, count: usize) -> usize>,
    /// The flash for packs, readable like memory, at a multiple of 4.
    pub flash: *const u8,
    /// Bytes of the flash: a multiple of ND_SECTOR_BYTES, three of them at least.
    pub flash_bytes: usize,
    /// Erases the flash from `begin` to before `end` to all ones; both are multiples of ND_SECTOR_BYTES. 0 says done.
    pub erase: Option<unsafe extern "C" fn(user: *mut c_void, begin: u32, end: u32) -> c_int>,
    /// Writes to erased flash; `offset` and `count` are multiples of ND_PAGE_BYTES. 0 says done.
    pub program: Option<unsafe extern "C" fn(user: *mut c_void, offset: u32, bytes: *const u8, count: usize) -> c_int>,
    /// Sees every row that is drawn, for a display or a watchdog; may be null. What it returns is ignored.
    pub row: Row,
    /// One request: ND_RECEIVE_BYTES at least. With ND_SECTOR_BYTES + 64 an upload has the fewest requests.
    pub receive: *mut u8,
    /// Bytes of `receive`.
    pub receive_bytes: usize,
    /// One reply: ND_SEND_BYTES at least. Longer ones carry more pixels at a time.
    pub send: *mut u8,
    /// Bytes of `send`.
    pub send_bytes: usize,
    /// A latent from the host: `w_dim` numbers, or `num_ws * w_dim` for a w for every layer; may be null.
    pub latents: *mut i32,
    /// Numbers that `latents` has room for.
    pub latent_count: usize,
    /// The memory that images are drawn in, at a multiple of 4.
    pub workspace: *mut c_void,
    /// Bytes of `workspace`: as many as `nd_model_sizes` says for the largest model.
    pub workspace_bytes: usize,
    /// Bytes that the serial line keeps while nobody reads: the length of its ring buffer, or of what USB's driver holds
    /// back. 0 for a line that loses them.
    pub window: usize,
}
