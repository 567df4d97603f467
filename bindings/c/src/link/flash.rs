//! Flash over two callbacks, read in place.

use core::ffi::{c_int, c_void};
use core::slice;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use nickeldime_core::storage::MappedFlash;

/// Bytes that are erased at once: what a chip's own sectors must divide.
pub const ND_SECTOR_BYTES: usize = 4096;
/// Bytes that are written at once: what a chip's own words or pages must divide.
pub const ND_PAGE_BYTES: usize = 256;

type EraseFn = unsafe extern "C" fn(user: *mut c_void, begin: u32, end: u32) -> c_int;
type ProgramFn = unsafe extern "C" fn(user: *mut c_void, offset: u32, bytes: *const u8, count: usize) -> c_int;

/// The caller's flash.
pub(crate) struct Flash {
    pub user: *mut c_void,
    pub bytes: *const u8,
    pub count: usize,
    pub erase: EraseFn,
    pub program: ProgramFn,
}

/// Turns a callback's return value into a result.
fn done(status: c_int) -> Result<(), NorFlashErrorKind> {
    if status == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let begin = offset as usize;
        let end = begin.checked_add(bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(self.bytes().get(begin..end).ok_or(NorFlashErrorKind::OutOfBounds)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.count
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = ND_PAGE_BYTES;
    const ERASE_SIZE: usize = ND_SECTOR_BYTES;

    fn erase(&mut self, begin: u32, end: u32) -> Result<(), NorFlashErrorKind> {
        if begin > end || end as usize > self.count {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        // SAFETY: the caller's function, inside the caller's flash.
        done(unsafe { (self.erase)(self.user, begin, end) })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        if (offset as usize).checked_add(bytes.len()).is_none_or(|end| end > self.count) {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        // SAFETY: the caller's function, inside the caller's flash.
        done(unsafe { (self.program)(self.user, offset, bytes.as_ptr(), bytes.len()) })
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the caller's memory, checked when the device started. Only `erase` and `write` change it, which borrow
        // this for themselves.
        unsafe { slice::from_raw_parts(self.bytes, self.count) }
    }
}
