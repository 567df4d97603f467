//! The client of one board at a serial port: drives the [`Machine`] and waits.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use nickeldime_core::generator::Sample;
use nickeldime_core::hex::Hex;
use nickeldime_core::link::Status;

use crate::error::LinkError;
use crate::info::BoardInfo;
use crate::machine::{HELLO, Image, Machine, Sent};
use crate::port_error::PortError;
use crate::wire::{SerialWire, Wire};

/// The longest time that a port may take to accept a frame.
const SEND: Duration = Duration::from_secs(6);

/// A connection to one board.
pub struct Client {
    driver: Driver,
    machine: Machine,
    board: BoardInfo,
}

/// The line of a client, and its name.
struct Driver {
    wire: Box<dyn Wire>,
    port: String,
    started: Instant,
}

impl Client {
    /// Opens a port and says hello.
    ///
    /// # Errors
    /// Why the port does not open, or nobody there speaks the protocol.
    pub fn open(port: &str) -> Result<Self, PortError> {
        Self::open_within(port, HELLO)
    }

    /// [`open`](Self::open), with another limit for the hello.
    ///
    /// # Errors
    /// Returns the errors of [`open`](Self::open).
    pub fn open_within(port: &str, limit: Duration) -> Result<Self, PortError> {
        Self::over(Box::new(SerialWire::open(port)?), port, limit)
    }

    /// A connection over any line; `port` is its name in errors.
    ///
    /// # Errors
    /// Nobody on the line speaks the protocol.
    pub fn over(wire: Box<dyn Wire>, port: &str, limit: Duration) -> Result<Self, PortError> {
        let started = wire.now();
        let mut driver = Driver { wire, port: port.to_owned(), started };
        let machine = Machine::new(first_id());
        driver.run(&machine, machine.hello(limit))?;
        let board = machine.board().clone();
        Ok(Self { driver, machine, board })
    }

    /// Returns the latest facts that the board has told about itself.
    pub fn board(&self) -> &BoardInfo {
        &self.board
    }

    /// Asks for the state of the board.
    ///
    /// # Errors
    /// The board does not answer.
    pub fn status(&mut self) -> Result<Status, PortError> {
        self.driver.run(&self.machine, self.machine.status())
    }

    /// Stops an image that the board is making; returns how many rows it had sent.
    ///
    /// # Errors
    /// The board does not answer.
    pub fn cancel(&mut self) -> Result<u16, PortError> {
        self.driver.run(&self.machine, self.machine.cancel())
    }

    /// Empties the board's storage, its model included.
    ///
    /// # Errors
    /// The board does not answer, or its flash fails.
    pub fn erase(&mut self) -> Result<(), PortError> {
        let result = self.driver.run(&self.machine, self.machine.erase());
        self.board = self.machine.board().clone();
        result
    }

    /// Has the board make one image; see [`Machine::sample`].
    ///
    /// # Errors
    /// Returns the errors of [`Machine::sample`], or that the line broke.
    pub fn sample(
        &mut self,
        sample: &Sample<'_>,
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<Image, PortError> {
        self.driver.run(&self.machine, self.machine.sample(sample, row))
    }

    /// Sends a pack and makes it the board's model; see [`Machine::upload`].
    ///
    /// # Errors
    /// Returns the errors of [`Machine::upload`], or that the line broke.
    pub fn upload(&mut self, pack: &[u8], progress: &mut dyn FnMut(u64, u64)) -> Result<Sent, PortError> {
        let result = self.driver.run(&self.machine, self.machine.upload(pack, progress));
        self.board = self.machine.board().clone();
        result
    }
}

impl Driver {
    /// Moves bytes and time until the task has ended.
    fn run<T>(&mut self, machine: &Machine, task: impl Future<Output = Result<T, LinkError>>) -> Result<T, PortError> {
        let mut task = pin!(task);
        let mut buf = [0; 4096];
        loop {
            machine.advance(self.now());
            let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            while let Some(bytes) = machine.outgoing() {
                self.wire.send(&bytes, SEND).map_err(|cause| match cause.kind() {
                    std::io::ErrorKind::TimedOut => self.failed(LinkError::Silent),
                    _ => PortError::Lost { port: self.port.clone(), cause },
                })?;
            }
            if let Poll::Ready(result) = polled {
                return result.map_err(|cause| self.failed(cause));
            }
            let left = machine.deadline().unwrap_or_default().saturating_sub(self.now());
            if !left.is_zero() {
                let received = self.wire.receive(&mut buf, left);
                let len = received.map_err(|cause| PortError::Lost { port: self.port.clone(), cause })?;
                machine.receive(&buf[..len]);
            }
        }
    }

    fn now(&self) -> Duration {
        self.wire.now().saturating_duration_since(self.started)
    }

    fn failed(&self, cause: LinkError) -> PortError {
        PortError::Link { port: self.port.clone(), cause }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.board.model.as_ref().map(|model| Hex(&model.sha256).to_string());
        f.debug_struct("Client").field("port", &self.driver.port).field("model", &model).finish_non_exhaustive()
    }
}

/// Different from one run of the program to the next, so that late replies to an earlier one are known as such.
fn first_id() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Three bytes on the line, for longer than anybody sends.
    (std::process::id().rotate_left(13) ^ now.as_micros() as u32) & 0xF_FFFF
}

#[cfg(test)]
mod tests;
