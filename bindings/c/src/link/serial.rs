//! A serial line over two callbacks.

use core::ffi::c_void;

use embedded_io::{Error, ErrorKind, ErrorType, Read, ReadReady, Write};

type ReadFn = unsafe extern "C" fn(user: *mut c_void, bytes: *mut u8, most: usize) -> usize;
type WriteFn = unsafe extern "C" fn(user: *mut c_void, bytes: *const u8, count: usize) -> usize;

/// The caller's line. A byte that was read to see whether there is one waits in `ahead`.
pub(crate) struct Serial {
    pub user: *mut c_void,
    pub read: ReadFn,
    pub write: WriteFn,
    pub ahead: Option<u8>,
}

/// The line took no byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

impl Error for Broken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::BrokenPipe
    }
}

impl ErrorType for Serial {
    type Error = Broken;
}

impl Serial {
    fn taken(&mut self, bytes: &mut [u8]) -> usize {
        // SAFETY: the caller's function, with a buffer of that length.
        unsafe { (self.read)(self.user, bytes.as_mut_ptr(), bytes.len()) }.min(bytes.len())
    }
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> Result<bool, Broken> {
        let mut byte = [0];
        if self.ahead.is_none() && self.taken(&mut byte) == 1 {
            self.ahead = Some(byte[0]);
        }
        Ok(self.ahead.is_some())
    }
}

impl Read for Serial {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Broken> {
        let Some((first, rest)) = bytes.split_first_mut() else { return Ok(0) };
        match self.ahead.take() {
            Some(byte) => {
                *first = byte;
                Ok(1 + self.taken(rest))
            }
            None => Ok(self.taken(bytes)),
        }
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        // SAFETY: the caller's function, with bytes that live during the call.
        match unsafe { (self.write)(self.user, bytes.as_ptr(), bytes.len()) } {
            0 => Err(Broken),
            count => Ok(count.min(bytes.len())),
        }
    }

    fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}
