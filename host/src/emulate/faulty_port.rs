//! A port in front of a board's port. The line between the two has a bit rate and [`Faults`].

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::faults::{Faults, Faulty};
use super::pty;
use super::reset::ResetButton;
use crate::boards::BoardError;

/// Time for which a cut line is gone.
const AWAY: Duration = Duration::from_secs(1);
/// Longest time of a wait, after which the thread checks whether it should end.
const NAP: Duration = Duration::from_millis(50);
/// Largest number of bytes in each direction on the line or waiting for it. A sender of more has to wait.
const ROOM: usize = 1024;

/// A function that sees what a program sends to the board, before any error is applied.
pub type LineTap = Box<dyn FnMut(&[u8]) + Send>;

/// A running port, which ends when it is dropped.
pub struct FaultyPort {
    port: Arc<Mutex<PathBuf>>,
    plugged: Receiver<PathBuf>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FaultyPort {
    /// Starts a port in front of the one at `board`. `baud` is the bit rate of each direction; `None` means as fast as
    /// possible. A cut line is gone for a second and then works again at another path.
    ///
    /// # Errors
    /// No pseudo-terminal is available, or `board` does not open.
    pub fn start(
        board: &Path,
        reset: ResetButton,
        faults: Faults,
        baud: Option<u32>,
        tap: Option<LineTap>,
    ) -> Result<Self, BoardError> {
        let board = pty::hold(board).map_err(BoardError::Pty)?;
        let (host, path) = Host::plug()?;
        let port = Arc::new(Mutex::new(path));
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, plugged) = channel();
        let line = Line {
            board,
            host: Some(host),
            reset,
            faulty: Faulty::new(faults),
            byte: baud.map_or(Duration::ZERO, |baud| Duration::from_secs(10) / baud.max(1)),
            tap,
            to_board: Way::default(),
            to_host: Way::default(),
            port: Arc::clone(&port),
            tell,
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("line".to_owned()).spawn(move || line.run());
        Ok(Self { port, plugged, stop, thread: Some(thread.map_err(BoardError::Pty)?) })
    }

    /// The path that programs open, which changes after a cut.
    pub fn port(&self) -> PathBuf {
        self.port.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The new path, if the line was repaired since the last call.
    pub fn plugged_again(&self) -> Option<PathBuf> {
        self.plugged.try_recv().ok()
    }
}

impl Drop for FaultyPort {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic already.
            let _ = thread.join();
        }
    }
}

/// The end that programs open, and a handle that keeps it open.
struct Host {
    line: OwnedFd,
    _held: File,
}

impl Host {
    fn plug() -> Result<(Self, PathBuf), BoardError> {
        let (line, path) = pty::pair().map_err(BoardError::Pty)?;
        let held = pty::hold(&path).map_err(BoardError::Pty)?;
        Ok((Self { line, _held: held }, path))
    }
}

/// One direction of the line: its bytes, and the times at which they arrive.
#[derive(Default)]
struct Way {
    flying: VecDeque<(Instant, u8)>,
    free: Option<Instant>,
}

struct Line {
    board: File,
    host: Option<Host>,
    reset: ResetButton,
    faulty: Faulty,
    byte: Duration,
    tap: Option<LineTap>,
    to_board: Way,
    to_host: Way,
    port: Arc<Mutex<PathBuf>>,
    tell: Sender<PathBuf>,
    stop: Arc<AtomicBool>,
}

impl Line {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.faulty.is_cut() {
                self.host = None;
                std::thread::sleep(AWAY);
                if self.plug().is_err() {
                    return;
                }
            }
            let Some(Host { line, .. }) = &self.host else { return };
            let mut heard = [0; 256];
            if self.to_board.flying.len() < ROOM
                && let Ok(count) = rustix::io::read(line, &mut heard)
            {
                if let Some(tap) = &mut self.tap {
                    tap(&heard[..count]);
                }
                self.to_board.take(&heard[..count], self.byte, &mut self.faulty, &self.reset);
            }
            if self.to_host.flying.len() < ROOM
                && let Ok(count) = rustix::io::read(&self.board, &mut heard)
            {
                self.to_host.take(&heard[..count], self.byte, &mut self.faulty, &self.reset);
            }
            let board_full = self.to_board.give(self.board.as_fd());
            let host_full = self.to_host.give(line.as_fd());
            self.wait(line.as_fd(), host_full, board_full);
        }
    }

    /// Repairs the cut line at another path. Bytes that were on it are lost, and so is what the board has sent
    /// meanwhile.
    fn plug(&mut self) -> Result<(), BoardError> {
        let mut lost = [0; 256];
        while rustix::io::read(&self.board, &mut lost).is_ok_and(|count| count > 0) {}
        (self.to_board, self.to_host) = (Way::default(), Way::default());
        let (host, path) = Host::plug()?;
        self.host = Some(host);
        self.faulty.mend();
        path.clone_into(&mut self.port.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.tell.send(path);
        Ok(())
    }

    /// Sleeps until there is something to do.
    fn wait(&self, line: BorrowedFd<'_>, host_full: bool, board_full: bool) {
        let events = |way: &Way, full: bool| {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, way.flying.len() < ROOM);
            events.set(PollFlags::OUT, full);
            events
        };
        let now = Instant::now();
        let due = |way: &Way, full: bool| {
            way.flying.front().filter(|_| !full).map(|(at, _)| at.saturating_duration_since(now))
        };
        let next = [due(&self.to_board, board_full), due(&self.to_host, host_full)].into_iter().flatten().min();
        let nap = next.unwrap_or(NAP).min(NAP);
        let nap = Timespec { tv_sec: 0, tv_nsec: nap.subsec_nanos().into() };
        let host = PollFd::from_borrowed_fd(line, events(&self.to_board, host_full));
        let board = PollFd::new(&self.board, events(&self.to_host, board_full));
        let _ = poll(&mut [host, board], Some(&nap));
    }
}

impl Way {
    /// Puts bytes that are being sent onto the line.
    fn take(&mut self, bytes: &[u8], byte: Duration, faulty: &mut Faulty, reset: &ResetButton) {
        let mut free = self.free.unwrap_or_else(Instant::now).max(Instant::now());
        for &sent in bytes {
            free += byte;
            let Some(passed) = faulty.pass(sent) else { break };
            free += passed.late;
            self.flying.extend(std::iter::repeat_n((free, passed.byte), passed.times));
            if passed.reset {
                reset.press();
            }
        }
        self.free = Some(free);
    }

    /// Passes on the bytes that have arrived. True if the other end accepts no more.
    fn give(&mut self, to: BorrowedFd<'_>) -> bool {
        let now = Instant::now();
        loop {
            let arrived: Vec<u8> =
                self.flying.iter().take(256).take_while(|(at, _)| *at <= now).map(|(_, byte)| *byte).collect();
            if arrived.is_empty() {
                return false;
            }
            match rustix::io::write(to, &arrived) {
                Ok(count) => drop(self.flying.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                // The board has ended, so nobody reads.
                Err(_) => {
                    self.flying.clear();
                    return false;
                }
            }
        }
    }
}
