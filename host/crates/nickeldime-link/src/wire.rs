//! A stream of bytes in both directions, and the one that is a serial port.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use serialport::{ErrorKind, SerialPort};

use super::holder;
use super::port_error::PortError;
use super::ports::names;

/// Bits a second on ports that care; USB and pseudo-terminals do not.
pub const BAUD: u32 = 921_600;

/// Bytes to and from a board.
pub trait Wire: Send {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The line broke, or `within` passed.
    fn send(&mut self, bytes: &[u8], within: Duration) -> io::Result<()>;

    /// Waits at most `within` for bytes; 0 when none came.
    ///
    /// # Errors
    /// The line broke.
    fn receive(&mut self, buf: &mut [u8], within: Duration) -> io::Result<usize>;

    /// The time on this line: a simulated one has its own.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// An open serial port.
pub struct SerialWire(Box<dyn SerialPort>);

impl SerialWire {
    /// Opens a port, for this program alone, and raises DTR where there is one.
    ///
    /// # Errors
    /// [`PortError::NoSuchPort`], [`PortError::Permission`], [`PortError::Busy`], [`PortError::Open`].
    pub fn open(port: &str) -> Result<Self, PortError> {
        let mut open = open(port).map_err(|cause| why(port, cause))?;
        // USB CDC boards wait for DTR before they send; pseudo-terminals have none.
        let _ = open.write_data_terminal_ready(true);
        Ok(Self(open))
    }
}

#[cfg(unix)]
fn open(port: &str) -> serialport::Result<Box<dyn SerialPort>> {
    let mut open = serialport::new(port, BAUD).open_native()?;
    // A pseudo-terminal remembers "exclusive" after its holder was killed, for as long as the emulator lives. The
    // file lock that the library takes as well keeps others out just so, and ends with the process.
    if port.starts_with("/dev/pts/") {
        open.set_exclusive(false)?;
    }
    // The library waits until the port takes a byte, then writes all of them: with a board that stands still a
    // blocking write would never return.
    // SAFETY: the descriptor is open for as long as `open` lives, which is longer than this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(open.as_raw_fd()) };
    let flags = rustix::fs::fcntl_getfl(fd).map_err(io::Error::from)?;
    rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK).map_err(io::Error::from)?;
    Ok(Box::new(open))
}

#[cfg(not(unix))]
fn open(port: &str) -> serialport::Result<Box<dyn SerialPort>> {
    serialport::new(port, BAUD).open()
}

fn why(port: &str, cause: serialport::Error) -> PortError {
    let port = port.to_owned();
    let text = cause.description.to_lowercase();
    match cause.kind() {
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortError::Permission { group: holder::group(&port), port },
        ErrorKind::Io(io::ErrorKind::NotFound) => PortError::NoSuchPort { port, others: names() },
        ErrorKind::Io(io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock) => busy(port),
        ErrorKind::NoDevice if text.contains("busy") || text.contains("lock") || text.contains("temporarily") => {
            busy(port)
        }
        ErrorKind::NoDevice if !std::path::Path::new(&port).exists() => PortError::NoSuchPort { port, others: names() },
        _ => PortError::Open { port, cause },
    }
}

fn busy(port: String) -> PortError {
    PortError::Busy { holder: holder::holder(&port), port }
}

impl Wire for SerialWire {
    fn send(&mut self, mut bytes: &[u8], within: Duration) -> io::Result<()> {
        let end = Instant::now() + within;
        while !bytes.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.0.set_timeout(left).map_err(io::Error::from)?;
            match self.0.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buf: &mut [u8], within: Duration) -> io::Result<usize> {
        self.0.set_timeout(within).map_err(io::Error::from)?;
        match self.0.read(buf) {
            // Ready, and yet nothing: the other end hung up.
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(n) => Ok(n),
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(0),
                _ => Err(error),
            },
        }
    }
}
