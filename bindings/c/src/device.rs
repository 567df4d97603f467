//! The device's end of the link, for a board that is written in C.

use core::ffi::{CStr, c_int};
use core::mem::{align_of, size_of};
use core::ptr::addr_of;
use core::slice;

use nickeldime_core::device::{Activity, Buffers, Device as Machine, Identity, NoClock};

use crate::link::{Board, Flash, ND_SECTOR_BYTES, Screen, Serial};
use crate::status::Status;

/// Words of an `nd_device`.
pub const ND_DEVICE_WORDS: usize = 192;
/// The shortest buffer for requests: a page of a pack, and what surrounds it.
pub const ND_RECEIVE_BYTES: usize = 320;
/// The shortest buffer for replies: the answer to hello.
pub const ND_SEND_BYTES: usize = 256;
/// The longest name of a board.
const NAME_BYTES: usize = 32;

/// A device, in memory of the caller's that stays where it is. What it holds is the library's business.
#[repr(C)]
pub struct Device {
    /// Opaque.
    pub opaque: [u64; ND_DEVICE_WORDS],
}

/// The parts of a started device, inside its opaque struct.
#[repr(C)]
struct Started {
    mark: u64,
    machine: Machine<'static, Serial, Flash, NoClock, Screen>,
}

/// The first word of a started device.
const STARTED: u64 = 0x6E64_6465_7669_6365;

const _: () = assert!(size_of::<Started>() <= size_of::<Device>() && align_of::<Started>() <= align_of::<Device>());

/// A buffer of the caller's.
///
/// # Safety
/// `begin` is null, or has room for `count` elements that nobody else uses as long as the device.
unsafe fn buffer<T>(begin: *mut T, count: usize) -> Result<&'static mut [T], Status> {
    if count == 0 {
        return Ok(&mut []);
    }
    if begin.is_null() || !begin.is_aligned() || count > isize::MAX as usize / size_of::<T>() {
        return Err(Status::Argument);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(begin, count) })
}

/// Checks a board and makes the state machine of it.
///
/// # Safety
/// The caller keeps the promises of [`nd_device_start`].
unsafe fn machine(board: &Board) -> Result<Machine<'static, Serial, Flash, NoClock, Screen>, Status> {
    let (Some(read), Some(write), Some(erase), Some(program)) = (board.read, board.write, board.erase, board.program)
    else {
        return Err(Status::Argument);
    };
    if board.name.is_null() {
        return Err(Status::Argument);
    }
    // SAFETY: a C string, by the caller's promise.
    let name: &'static CStr = unsafe { CStr::from_ptr(board.name) };
    let name = name.to_str().ok().filter(|name| name.len() <= NAME_BYTES).ok_or(Status::Argument)?;
    let sectors = board.flash_bytes / ND_SECTOR_BYTES;
    let whole = sectors >= 3 && board.flash_bytes.is_multiple_of(ND_SECTOR_BYTES);
    let addressable = u32::try_from(board.flash_bytes).is_ok() && isize::try_from(board.flash_bytes).is_ok();
    if board.flash.is_null() || !board.flash.addr().is_multiple_of(4) || !whole || !addressable {
        return Err(Status::Flash);
    }
    if board.receive_bytes < ND_RECEIVE_BYTES || board.send_bytes < ND_SEND_BYTES {
        return Err(Status::Buffer);
    }
    let identity = Identity {
        board: name,
        firmware: env!("CARGO_PKG_VERSION"),
        restart: None,
        trust: nickeldime_core::pack::Trust::ANYBODY,
    };
    let user = board.user;
    let flash = Flash { user, bytes: board.flash, count: board.flash_bytes, erase, program };
    // SAFETY: the caller's promise.
    let buffers = unsafe {
        Buffers {
            receive: buffer(board.receive, board.receive_bytes)?,
            send: buffer(board.send, board.send_bytes)?,
            latents: buffer(board.latents, board.latent_count)?,
            workspace: buffer(board.workspace.cast(), board.workspace_bytes / 4)?,
            window: board.window,
        }
    };
    let serial = Serial { user, read, write, ahead: None };
    Ok(Machine::new(identity, serial, flash, NoClock, Screen { user, row: board.row }, buffers))
}

/// The state machine of a started device.
///
/// # Safety
/// `device` is null, all zero, or was passed to `nd_device_start`, and nobody else uses it.
unsafe fn started<'a>(device: *mut Device) -> Option<&'a mut Machine<'static, Serial, Flash, NoClock, Screen>> {
    let started: *mut Started = device.cast();
    if started.is_null() || !started.is_aligned() {
        return None;
    }
    // SAFETY: readable, by the caller's promise; the mark says whether the rest was written.
    unsafe { (addr_of!((*started).mark).read() == STARTED).then(|| &mut (*started).machine) }
}

/// Starts a device: verifies the pack in the flash, if there is one, and waits for requests. A device that could not be
/// started is marked as such.
///
/// # Safety
/// `device` is null or writable. `board` is null or readable; its name is a C string, and its name, memory and flash stay
/// valid while the device is used, the memory used by nobody else. The callbacks do not call this device's functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_device_start(device: *mut Device, board: *const Board) -> Status {
    let started: *mut Started = device.cast();
    if started.is_null() || !started.is_aligned() || board.is_null() || !board.is_aligned() {
        return Status::Argument;
    }
    // SAFETY: writable, and large and aligned enough (asserted above). Nothing in it wants to be dropped.
    unsafe { (&raw mut (*started).mark).write(0) };
    // SAFETY: the caller's promise.
    match unsafe { machine(&*board) } {
        Ok(machine) => {
            // SAFETY: as above.
            unsafe { started.write(Started { mark: STARTED, machine }) };
            Status::Ok
        }
        Err(status) => status,
    }
}

/// Answers the requests that have arrived; call it for ever. Returns 1 when it did something, and 0 when nothing complete had
/// arrived, so that the board may sleep until the next byte.
///
/// # Safety
/// `device` is null, all zero, or was passed to `nd_device_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_device_poll(device: *mut Device) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { started(device) } {
        Some(machine) => (machine.poll() == Activity::Busy).into(),
        None => 0,
    }
}

/// Draws an image of the loaded model that no host asked for; the board's `row` sees it. It stops when bytes arrive. psi is
/// Q14; the noise is of the kind that the pack was made to be shown with.
///
/// # Safety
/// `device` is null, all zero, or was passed to `nd_device_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_device_draw(device: *mut Device, seed: u64, psi: i16) -> Status {
    // SAFETY: the caller's promise.
    let Some(machine) = (unsafe { started(device) }) else { return Status::Argument };
    if machine.loaded().is_none() {
        return Status::NoModel;
    }
    machine.draw(seed, psi).map_or_else(Status::from, |()| Status::Ok)
}
