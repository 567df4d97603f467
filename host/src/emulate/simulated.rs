//! A board on a simulated line: the device code of `nickeldime-core`, on a line with a bit rate, faults and simulated
//! time, which passes as fast as the computer allows. The client uses it like a serial port.
//!
//! The board computes in no time, and gets whole frames when they end. Sending takes time during which the board does
//! nothing else, and its flash may take time too ([`SlowFlash`]). Bytes that arrive meanwhile go to a ring buffer, and
//! bytes that do not fit there are lost.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use embedded_storage::nor_flash::{ErrorType as FlashError, NorFlash, ReadNorFlash};
use nickeldime_core::device::{Activity, Buffers, Device, Engine, Identity, NoClock};
use nickeldime_core::link::Sha256Hash;
use nickeldime_core::pack::Trust;
use nickeldime_core::storage::{FailingFlash, MappedFlash, RamFlash};
use nickeldime_link::wire::Wire;

use super::faults::{Faults, Faulty};

/// Simulated time in picoseconds.
type Picos = u64;
/// Time that a board needs to start again, during which it hears nothing.
const BOOT: Picos = 100_000_000_000;
/// Bits on the line for one byte, including a start bit and a stop bit.
const BITS: u64 = 10;

/// The properties of the line and of the board behind it.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Bit rate in each direction.
    pub baud: u32,
    /// Size in bytes of the ring buffer for a busy board; bytes beyond it are lost.
    pub ring: usize,
    /// The errors on the line.
    pub faults: Faults,
    /// True if a cut line is silent, like a cable pulled out of a serial adapter; false if it is gone, like an adapter
    /// that was unplugged.
    pub silent_cut: bool,
}

/// A record of what has happened on a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Number of bytes sent to the board.
    pub to_board: u64,
    /// Number of bytes sent by the board.
    pub to_host: u64,
    /// Number of bytes that did not fit in the board's ring buffer.
    pub overrun: u64,
    /// Hash of the model that the board found at each of its starts.
    pub starts: Vec<Option<Sha256Hash>>,
}

/// A flash whose power may fail.
pub trait Supply {
    /// True if power has failed.
    fn is_dead(&self) -> bool {
        false
    }

    /// Restores power.
    fn restore(&mut self) {}

    /// Time that the flash's operations have taken since the last call.
    fn took(&mut self) -> Duration {
        Duration::ZERO
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> Supply for RamFlash<B, WORD, SECTOR> {}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> Supply for FailingFlash<B, WORD, SECTOR> {
    fn is_dead(&self) -> bool {
        FailingFlash::is_dead(self)
    }

    fn restore(&mut self) {
        FailingFlash::restore(self);
    }
}

/// A flash with the timing of a W25Q chip: 45 ms for erasing a sector, 150 ms for a whole block of 64 kB, and 0.4 ms for
/// writing 256 bytes.
pub struct SlowFlash<F> {
    flash: F,
    took: Duration,
}

impl<F> SlowFlash<F> {
    const BLOCK: u32 = 64 << 10;

    /// Wraps a flash with this timing.
    pub fn new(flash: F) -> Self {
        Self { flash, took: Duration::ZERO }
    }
}

impl<F: FlashError> FlashError for SlowFlash<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for SlowFlash<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for SlowFlash<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        let mut at = from;
        while at < to {
            let whole = at.is_multiple_of(Self::BLOCK) && at + Self::BLOCK <= to;
            let (bytes, millis) = if whole { (Self::BLOCK, 150) } else { (F::ERASE_SIZE as u32, 45) };
            at += bytes;
            self.took += Duration::from_millis(millis);
        }
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.took += Duration::from_micros(400) * bytes.len().div_ceil(256) as u32;
        self.flash.write(offset, bytes)
    }
}

impl<F: MappedFlash> MappedFlash for SlowFlash<F> {
    fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }
}

impl<F> Supply for SlowFlash<F> {
    fn took(&mut self) -> Duration {
        std::mem::take(&mut self.took)
    }
}

/// Both directions of the line, and the simulated time.
struct Line {
    setup: Setup,
    faulty: Faulty,
    /// The host's time.
    now: Picos,
    /// The board's time, which is later than the host's while the board is busy.
    board: Picos,
    /// Time at which the host will have sent all its bytes.
    host_free: Picos,
    /// Time at which the board will have sent all its bytes.
    board_free: Picos,
    to_board: VecDeque<Arrival>,
    to_host: VecDeque<Arrival>,
    /// End times of the frames that are on their way to the board.
    ends: VecDeque<Picos>,
    /// Bytes that the board has received while it was idle.
    taken: VecDeque<u8>,
    reset: bool,
    happened: Happened,
}

/// A byte, its arrival time, and whether it resets the board.
#[derive(Clone, Copy)]
struct Arrival {
    at: Picos,
    byte: u8,
    reset: bool,
}

impl Line {
    fn byte(&self) -> Picos {
        BITS * 1_000_000_000_000 / u64::from(self.setup.baud.max(1))
    }

    fn send_to_board(&mut self, bytes: &[u8]) {
        self.host_free = self.host_free.max(self.now);
        self.happened.to_board += bytes.len() as u64;
        for &byte in bytes {
            self.host_free += self.byte();
            let Some(passed) = self.faulty.pass(byte) else { continue };
            self.host_free += picos(passed.late);
            for _ in 0..passed.times {
                self.to_board.push_back(Arrival { at: self.host_free, byte: passed.byte, reset: passed.reset });
                if passed.byte == 0 || passed.reset {
                    self.ends.push_back(self.host_free);
                }
            }
        }
    }

    fn send_to_host(&mut self, bytes: &[u8]) {
        self.board_free = self.board_free.max(self.board);
        self.happened.to_host += bytes.len() as u64;
        for &byte in bytes {
            self.board_free += self.byte();
            let Some(passed) = self.faulty.pass(byte) else { continue };
            self.board_free += picos(passed.late);
            self.reset |= passed.reset;
            for _ in 0..passed.times {
                self.to_host.push_back(Arrival { at: self.board_free, byte: passed.byte, reset: false });
            }
        }
        // The board does nothing else while it sends.
        self.board = self.board_free;
    }

    /// Lets the board idle until `at`, receiving every byte as it arrives.
    fn idle_until(&mut self, at: Picos) {
        self.overrun();
        self.board = self.board.max(at);
        while let Some(arrival) = self.pop_arrived() {
            self.taken.push_back(arrival.byte);
            if arrival.reset {
                self.reset = true;
                break;
            }
        }
    }

    fn pop_arrived(&mut self) -> Option<Arrival> {
        let board = self.board;
        let arrival = self.to_board.pop_front_if(|arrival| arrival.at <= board)?;
        if arrival.byte == 0 || arrival.reset {
            self.ends.pop_front();
        }
        Some(arrival)
    }

    /// Ends a busy time of the board: bytes that the ring buffer has no room for are lost.
    fn overrun(&mut self) {
        let waiting = self.to_board.partition_point(|arrival| arrival.at <= self.board);
        if waiting > self.setup.ring {
            self.happened.overrun += (waiting - self.setup.ring) as u64;
            for lost in self.to_board.drain(self.setup.ring..waiting) {
                if lost.byte == 0 || lost.reset {
                    // It does not matter which of the waiting frames it was, because all of them have ended.
                    self.ends.pop_front();
                }
                self.reset |= lost.reset;
            }
        }
    }
}

fn picos(time: Duration) -> Picos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 1000).saturating_mul(1000)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The board's end of the line.
#[derive(Clone)]
struct Port(Arc<Mutex<Line>>);

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let mut line = lock(&self.0);
        line.overrun();
        let arrived = line.to_board.front().is_some_and(|arrival| arrival.at <= line.board);
        Ok(!line.reset && (!line.taken.is_empty() || arrived))
    }
}

impl Read for Port {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut line = lock(&self.0);
        let mut count = 0;
        for place in buf {
            let byte = line.taken.pop_front().or_else(|| {
                let arrival = line.pop_arrived()?;
                line.reset |= arrival.reset;
                Some(arrival.byte)
            });
            let Some(byte) = byte else { break };
            *place = byte;
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Port {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        lock(&self.0).send_to_host(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Inner<F, E> {
    device: Option<Device<'static, Port, F, NoClock, E>>,
    engine: E,
    line: Arc<Mutex<Line>>,
    epoch: Instant,
}

const IDENTITY: Identity =
    Identity { board: "simulated", firmware: env!("CARGO_PKG_VERSION"), restart: None, trust: Trust::ANYBODY };

impl<F: MappedFlash + Supply, E: Engine + Copy> Inner<F, E> {
    fn start(&mut self, serial: Port, flash: F, buffers: Buffers<'static>) {
        let device = Device::new(IDENTITY, serial, flash, NoClock, self.engine, buffers);
        lock(&self.line).happened.starts.push(device.loaded());
        self.device = Some(device);
    }

    /// Restarts the board with the contents of its flash.
    fn reset(&mut self) {
        let Some(device) = self.device.take() else { return };
        let (serial, mut flash, _, buffers) = device.into_parts();
        flash.restore();
        {
            let mut line = lock(&self.line);
            line.board += BOOT;
            line.taken.clear();
            while line.pop_arrived().is_some() {}
            line.reset = false;
        }
        self.start(serial, flash, buffers);
    }

    /// Runs the board until it waits for another frame.
    fn run(&mut self, at: Picos) {
        lock(&self.line).idle_until(at);
        loop {
            let said = lock(&self.line).to_host.len();
            let Some(device) = &mut self.device else { return };
            let activity = device.poll();
            let dead = device.flash().is_dead();
            let took = device.flash_mut().took();
            let mut line = lock(&self.line);
            line.board += picos(took);
            if dead {
                // A board without power has sent nothing.
                line.to_host.truncate(said);
            }
            if dead || line.reset {
                drop(line);
                self.reset();
                return;
            }
            if activity == Activity::Idle {
                return;
            }
        }
    }
}

/// A board on a simulated line. Clones are the same board: one can be the client's [`Wire`] while another observes it.
pub struct Simulated<F, E>(Arc<Mutex<Inner<F, E>>>);

impl<F, E> Clone for Simulated<F, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: MappedFlash + Supply, E: Engine + Copy> Simulated<F, E> {
    /// Starts a board with the contents of `flash`.
    pub fn new(setup: Setup, flash: F, engine: E, buffers: Buffers<'static>) -> Self {
        let line = Arc::new(Mutex::new(Line {
            setup,
            faulty: Faulty::new(setup.faults),
            now: 0,
            board: 0,
            host_free: 0,
            board_free: 0,
            to_board: VecDeque::new(),
            to_host: VecDeque::new(),
            ends: VecDeque::new(),
            taken: VecDeque::new(),
            reset: false,
            happened: Happened::default(),
        }));
        let mut inner = Inner { device: None, engine, line: Arc::clone(&line), epoch: Instant::now() };
        inner.start(Port(line), flash, buffers);
        Self(Arc::new(Mutex::new(inner)))
    }

    /// What has happened so far.
    pub fn happened(&self) -> Happened {
        lock(&lock(&self.0).line).happened.clone()
    }

    /// Resets the board.
    pub fn reset(&self) {
        lock(&self.0).reset();
    }

    /// Repairs a cut line for good. Bytes that were on it are lost.
    pub fn mend(&self) {
        let inner = lock(&self.0);
        let mut line = lock(&inner.line);
        line.faulty.mend();
        line.to_board.clear();
        line.to_host.clear();
        line.ends.clear();
    }

    /// Changes the errors of the line from now on.
    pub fn fault(&self, faults: Faults) {
        let inner = lock(&self.0);
        lock(&inner.line).faulty = Faulty::new(faults);
    }

    /// Calls a function on the flash.
    pub fn with_flash(&self, change: impl FnOnce(&mut F)) {
        if let Some(device) = &mut lock(&self.0).device {
            change(device.flash_mut());
        }
    }

    /// Stops the board and returns its flash and buffers.
    pub fn stop(&self) -> Option<(F, Buffers<'static>)> {
        let (_, flash, _, buffers) = lock(&self.0).device.take()?.into_parts();
        Some((flash, buffers))
    }
}

impl<F: MappedFlash + Supply + Send, E: Engine + Copy + Send> Wire for Simulated<F, E> {
    fn send(&mut self, bytes: &[u8], _: Duration) -> io::Result<()> {
        let inner = lock(&self.0);
        let mut line = lock(&inner.line);
        line.send_to_board(bytes);
        match line.faulty.is_cut() && !line.setup.silent_cut {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    fn receive(&mut self, buf: &mut [u8], within: Duration) -> io::Result<usize> {
        let mut inner = lock(&self.0);
        let end = lock(&inner.line).now.saturating_add(picos(within));
        loop {
            let mut line = lock(&inner.line);
            let mut count = 0;
            let now = line.now;
            for place in &mut *buf {
                let Some(arrival) = line.to_host.pop_front_if(|arrival| arrival.at <= now) else { break };
                *place = arrival.byte;
                count += 1;
            }
            if count > 0 {
                return Ok(count);
            }
            if line.faulty.is_cut() && !line.setup.silent_cut {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let to_host = line.to_host.front().map_or(Picos::MAX, |arrival| arrival.at);
            let to_board = line.ends.front().map_or(Picos::MAX, |&end| end.max(line.board));
            if to_board <= end && to_board <= to_host {
                drop(line);
                inner.run(to_board);
            } else if to_host <= end {
                // Reads to the end of the frame, if there is one.
                let frame = line.to_host.iter().find(|arrival| arrival.byte == 0).map_or(to_host, |arrival| arrival.at);
                line.now = frame.min(end).min(to_board.max(to_host));
            } else {
                line.now = end;
                return Ok(0);
            }
        }
    }

    fn now(&self) -> Instant {
        let inner = lock(&self.0);
        let now = lock(&inner.line).now;
        inner.epoch + Duration::from_nanos(now / 1000)
    }
}
