//! What the programs of emulators have in common: they end with their parent, and what they print is read.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::Sender;

/// Ends a program.
pub(super) fn end(child: &mut Child) {
    // It may have ended by itself; waiting for it cleans up either way.
    let _ = child.kill();
    let _ = child.wait();
}

/// Makes the kernel end the emulator with its parent, because a killed parent cannot drop anything.
#[cfg(target_os = "linux")]
pub(super) fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only two system calls are made; they allocate nothing and take no lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // The parent may have been killed before that call, and then nobody would send the signal.
            match rustix::process::getppid() == Some(parent) {
                true => Ok(()),
                false => Err(std::io::ErrorKind::BrokenPipe.into()),
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_parent(_: &mut Command) {}

/// Passes lines on. It continues to read when nobody listens any more, so that the emulator never blocks.
pub(super) fn read_lines(from: Option<impl Read + Send + 'static>, to: Sender<String>) {
    let Some(from) = from else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = to.send(line);
        }
    });
}
