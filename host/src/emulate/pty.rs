//! Pseudo-terminals as serial lines: raw, and kept open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// A pair: the end that the device has, non-blocking, and the path that programs open.
pub(super) fn pair() -> io::Result<(OwnedFd, PathBuf)> {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&device)?;
    unlockpt(&device)?;
    let path = ptsname(&device, Vec::new())?;
    let path = PathBuf::from(path.to_string_lossy().into_owned());
    fcntl_setfl(&device, fcntl_getfl(&device)? | OFlags::NONBLOCK)?;
    Ok((device, path))
}

/// Opens a pseudo-terminal to keep it open and raw. While somebody holds it, the other end does not see programs come
/// and go, and a program that opens it need not wait until it is noticed.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let held = OpenOptions::new().read(true).write(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut settings = tcgetattr(&held)?;
    settings.make_raw();
    tcsetattr(&held, OptionalActions::Now, &settings)?;
    Ok(held)
}
