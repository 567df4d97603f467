//! Pseudo-terminals as serial lines: raw, and kept open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Opens a pseudo-terminal. Returns the device's end, which does not block, and the path that programs open.
pub(super) fn pair() -> io::Result<(OwnedFd, PathBuf)> {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&device)?;
    unlockpt(&device)?;
    let path = ptsname(&device, Vec::new())?;
    let path = PathBuf::from(path.to_string_lossy().into_owned());
    fcntl_setfl(&device, fcntl_getfl(&device)? | OFlags::NONBLOCK)?;
    Ok((device, path))
}

/// Opens a pseudo-terminal's path and keeps it open and raw. While it is held, the other end does not notice programs
/// that open and close it, and a program that opens it need not wait until it is noticed.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let held = OpenOptions::new().read(true).write(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut settings = tcgetattr(&held)?;
    settings.make_raw();
    tcsetattr(&held, OptionalActions::Now, &settings)?;
    Ok(held)
}
