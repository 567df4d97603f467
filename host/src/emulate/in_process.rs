//! Runs the device code of `nickeldime-core` on a thread, at the other end of a pseudo-terminal. It is a board for
//! machines without an emulator, and behaves like one at its port.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use nickeldime_core::device::{Activity, Buffers, Clock, Device, Identity, Integers};
use nickeldime_core::pack::Trust;
use nickeldime_core::pack::trust::{ed25519, key_id};
use nickeldime_core::storage::RamFlash;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pty;
use super::reset::ResetButton;
use super::setup::Setup;
use crate::boards::BoardError;
use crate::keys::PublicKey;

/// The name of this board.
pub(super) const NAME: &str = "host";

const STORAGE: usize = 64 << 20;
const WORKSPACE: usize = 16 << 20;
/// Length of the receive buffer in bytes: a chunk of one sector and its framing.
const RECEIVE: usize = 4096 + 64;
/// Flow-control window in bytes. The pseudo-terminal buffers what the device has not read.
const WINDOW: usize = 4 * RECEIVE;
const SEND: usize = 3 * 1024 + 64;
const LATENTS: usize = 4096;
/// Longest time of a wait, after which the thread checks whether it should end.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A running device, which ends when it is dropped.
pub(super) struct InProcess {
    stop: Arc<AtomicBool>,
    reset: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _held: File,
}

impl InProcess {
    /// Starts a device with empty storage. Also returns the path of its port.
    pub(super) fn start(setup: &Setup) -> Result<(Self, PathBuf), BoardError> {
        let trust = trust(&setup.trust);
        let (line, path) = pty::pair().map_err(BoardError::Pty)?;
        let held = pty::hold(&path).map_err(BoardError::Pty)?;
        let stop = Arc::new(AtomicBool::new(false));
        let reset = Arc::new(AtomicBool::new(false));
        let serial = Serial { line, stop: Arc::clone(&stop) };
        let pressed = Arc::clone(&reset);
        let thread = std::thread::Builder::new().name("device".to_owned()).spawn(move || run(serial, &pressed, trust));
        let thread = thread.map_err(BoardError::Pty)?;
        Ok((Self { stop, reset, thread: Some(thread), _held: held }, path))
    }

    /// The button that resets the device between two requests.
    pub(super) fn reset_button(&self) -> ResetButton {
        let reset = Arc::clone(&self.reset);
        ResetButton::new(move || reset.store(true, Ordering::Relaxed))
    }

    /// True while the device runs.
    pub(super) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic already.
            let _ = thread.join();
        }
    }
}

/// The trust of a device in these keys, which are kept until this process ends, as a board's are in its firmware.
fn trust(keys: &[PublicKey]) -> Trust {
    if keys.is_empty() {
        return Trust::ANYBODY;
    }
    let keys: Vec<_> = keys.iter().map(|key| *key.bytes()).collect();
    let ids: Vec<_> = keys.iter().map(key_id).collect();
    Trust::new(Vec::leak(keys), Vec::leak(ids), ed25519)
}

fn run(serial: Serial, reset: &AtomicBool, trust: Trust) {
    let stop = Arc::clone(&serial.stop);
    // The storage is made of words, so that packs in it start at multiples of 4.
    let mut storage = vec![u32::MAX; STORAGE / 4];
    let (mut receive, mut send) = (vec![0; RECEIVE], vec![0; SEND]);
    let (mut latents, mut workspace) = (vec![0; LATENTS], vec![0; WORKSPACE / 4]);
    let flash: RamFlash<&mut [u8]> = RamFlash::new(bytemuck::cast_slice_mut(&mut storage));
    let buffers = Buffers {
        receive: &mut receive,
        send: &mut send,
        latents: &mut latents,
        workspace: &mut workspace,
        window: WINDOW,
    };
    let identity = Identity { board: NAME, firmware: env!("CARGO_PKG_VERSION"), restart: None, trust };
    let mut device = Device::new(identity, serial, flash, Micros(Instant::now()), Integers, buffers);
    while !stop.load(Ordering::Relaxed) {
        if reset.swap(false, Ordering::Relaxed) {
            let (serial, flash, clock, buffers) = device.into_parts();
            device = Device::new(identity, serial, flash, clock, Integers, buffers);
        }
        if device.poll() == Activity::Idle {
            device.serial().wait(PollFlags::IN);
        }
    }
}

/// The device's end of the pseudo-terminal.
struct Serial {
    line: OwnedFd,
    stop: Arc<AtomicBool>,
}

impl Serial {
    /// Waits until the line is ready, for a limited time.
    fn wait(&self, until: PollFlags) {
        let _ = poll(&mut [PollFd::new(&self.line, until)], Some(&NAP));
    }
}

impl ErrorType for Serial {
    type Error = ErrorKind;
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let mut line = [PollFd::new(&self.line, PollFlags::IN)];
        let ready = poll(&mut line, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        Ok(ready.is_ok() && line[0].revents().contains(PollFlags::IN))
    }
}

impl Read for Serial {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        rustix::io::read(&self.line, buf).map_err(|_| ErrorKind::Other)
    }
}

impl Write for Serial {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        while !self.stop.load(Ordering::Relaxed) {
            match rustix::io::write(&self.line, buf) {
                Ok(n) if n > 0 => return Ok(n),
                // The buffer is full because nobody reads. The board waits, as for a slow line.
                Ok(_) | Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(ErrorKind::Other),
            }
        }
        Err(ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Gives the microseconds since the device was started.
struct Micros(Instant);

impl Clock for Micros {
    const HZ: u32 = 1_000_000;

    fn now(&mut self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
