//! The client of the protocol, without input, output, clock or thread: requests with ids, repeated when no reply comes, with
//! a time limit on everything.
//!
//! The client's operations are async functions, which wait for one thing only: the next frame, or a time. Whoever
//! drives them polls the future, sends what is [outgoing](Machine::outgoing), and polls again when bytes were
//! [received](Machine::receive) or the [deadline](Machine::deadline) has come. No runtime is needed.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, Ref, RefCell};
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use nickeldime_core::link::{
    Answer, Ask, FrameReader, LatentSource, PROTOCOL_VERSION, Packet, Reply, Request, Status, decode, encode,
};

use crate::error::LinkError;
use crate::info::{BoardInfo, shown};

mod image;
mod pace;
mod pixels;
mod upload;

pub use image::Image;
pub use upload::Sent;

use pace::Pace;

/// The longest time that a board may take to say hello after its port was opened (a reset on open included).
pub const HELLO: Duration = Duration::from_secs(5);
/// The time between two hellos while none is answered: the first may fall into a reset or behind half a frame.
const HELLO_AGAIN: Duration = Duration::from_millis(400);
/// The patience with requests that only look something up, answered at 9600 baud.
const QUICK: Patience = Patience { first: Duration::from_secs(1), limit: Duration::from_secs(20) };
/// The patience between the rows of an image: a slow core without a divider, at a large resolution.
const ROW: Patience = Patience { first: Duration::from_secs(2), limit: Duration::from_secs(60) };
/// The longest frame that is taken from a board.
const LONGEST: usize = 8192;
/// The number of a board's first bytes that are kept.
const FIRST: usize = 40;

/// The time that a reply may take.
#[derive(Clone, Copy)]
struct Patience {
    /// Before the request is repeated for the first time; every time after that twice as long.
    first: Duration,
    /// In all.
    limit: Duration,
}

/// The bytes that have come over the line since the last hello.
#[derive(Default)]
struct Heard {
    bytes: u64,
    frames: u64,
    /// The first of them.
    first: Vec<u8>,
}

/// Both directions of the line, and the time.
struct Line {
    reader: FrameReader<Vec<u8>>,
    inbox: VecDeque<u8>,
    outbox: VecDeque<Vec<u8>>,
    now: Duration,
    deadline: Option<Duration>,
    heard: Heard,
}

impl Line {
    /// The next whole frame of the bytes that have arrived.
    fn frame(&mut self) -> Option<Vec<u8>> {
        while let Some(byte) = self.inbox.pop_front() {
            if self.reader.push(byte) {
                self.heard.frames += 1;
                return Some(self.reader.payload().to_vec());
            }
        }
        None
    }
}

/// A client that is connected to one board by whoever drives it.
///
/// Times are measured from any moment that stays the same. One operation may run at a time.
pub struct Machine {
    line: RefCell<Line>,
    next_id: Cell<u32>,
    board: RefCell<BoardInfo>,
    pace: Cell<Pace>,
}

impl Machine {
    /// A client whose requests are numbered from `first_id` on. It should differ from one connection to the next, so that
    /// late replies to an earlier one are known as such; below 2^20 it takes three bytes on the line.
    pub fn new(first_id: u32) -> Self {
        let line = Line {
            reader: FrameReader::new(vec![0; LONGEST]),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            now: Duration::ZERO,
            deadline: None,
            heard: Heard::default(),
        };
        Self {
            line: RefCell::new(line),
            next_id: Cell::new(first_id),
            board: RefCell::default(),
            pace: Cell::new(Pace::NEW),
        }
    }

    /// Returns the latest facts that the board has told about itself.
    pub fn board(&self) -> Ref<'_, BoardInfo> {
        self.board.borrow()
    }

    /// It is `now`.
    pub fn advance(&self, now: Duration) {
        self.line.borrow_mut().now = now;
    }

    /// These bytes came from the board.
    pub fn receive(&self, bytes: &[u8]) {
        let mut line = self.line.borrow_mut();
        line.heard.bytes += bytes.len() as u64;
        let room = FIRST.saturating_sub(line.heard.first.len());
        line.heard.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        line.inbox.extend(bytes);
    }

    /// The next bytes for the board, a frame or less.
    pub fn outgoing(&self) -> Option<Vec<u8>> {
        self.line.borrow_mut().outbox.pop_front()
    }

    /// Returns the time at which the operation goes on if nothing is received until then.
    pub fn deadline(&self) -> Option<Duration> {
        self.line.borrow().deadline
    }

    /// Asks for the state of the board.
    ///
    /// # Errors
    /// The board does not answer.
    pub async fn status(&self) -> Result<Status, LinkError> {
        let answer = self.ask(Ask::Status, QUICK, "status", |answer| match answer {
            Answer::Status(status) => Some(status),
            _ => None,
        });
        answer.await
    }

    /// Stops an image that the board is making; returns how many rows it had sent.
    ///
    /// # Errors
    /// The board does not answer.
    pub async fn cancel(&self) -> Result<u16, LinkError> {
        let answer = self.ask(Ask::Cancel, ROW, "cancel", |answer| match answer {
            Answer::Cancelled { rows } => Some(rows),
            _ => None,
        });
        answer.await
    }

    /// Empties the board's storage, its model included.
    ///
    /// # Errors
    /// The board does not answer, or its flash fails.
    pub async fn erase(&self) -> Result<(), LinkError> {
        // 20 kB/s is a slow flash.
        let limit = Duration::from_secs(20 + u64::from(self.board().storage) / 20_000);
        let patience = Patience { first: Duration::from_secs(3), limit };
        let answer = self.ask(Ask::Erase, patience, "erasing", |answer| match answer {
            Answer::Erased => Some(()),
            _ => None,
        });
        answer.await?;
        self.hello(HELLO).await
    }

    /// Greets the board, for at most `limit`, and keeps what it says about itself ([`board`](Self::board)).
    ///
    /// # Errors
    /// Nobody on the line speaks the protocol.
    pub async fn hello(&self, limit: Duration) -> Result<(), LinkError> {
        let end = self.now() + limit;
        let id = self.new_id();
        self.line.borrow_mut().heard = Heard::default();
        let mut echo = false;
        loop {
            // The zero ends whatever half a frame an earlier program left.
            self.line.borrow_mut().outbox.push_back(vec![0]);
            self.say(id, Ask::Hello { protocol: PROTOCOL_VERSION }).await;
            let again = (self.now() + HELLO_AGAIN).min(end);
            while let Some(payload) = self.frame(again).await {
                // These three fields are first in every version, whatever the rest of the hello has become.
                let (from, device) = match postcard::take_from_bytes::<(u8, u32, u8, u16)>(&payload) {
                    Ok(((1, from, 0, device), _)) => (from, device),
                    Ok(((0, from, ..), _)) => {
                        echo |= from == id;
                        continue;
                    }
                    _ => continue,
                };
                if from != id {
                    continue;
                }
                if device != PROTOCOL_VERSION {
                    return Err(LinkError::WrongProtocol { device });
                }
                let Some(Packet::Reply(Reply { answer: Answer::Hello(hello), .. })) = decode(&payload) else {
                    let what = alloc::format!("it is not one of version {device}, which it says it is");
                    return Err(LinkError::OddHello { what });
                };
                let board = BoardInfo::from(hello);
                if let Some(what) = board.oddity() {
                    return Err(LinkError::OddHello { what });
                }
                *self.board.borrow_mut() = board;
                return Ok(());
            }
            if self.now() >= end {
                let Heard { bytes, frames, first } = &self.line.borrow().heard;
                return Err(match (echo, *bytes, *frames) {
                    (true, ..) => LinkError::Echo,
                    (_, bytes @ 1.., 0) => LinkError::NotOurs { bytes, said: shown(&String::from_utf8_lossy(first)) },
                    _ => LinkError::Silent,
                });
            }
        }
    }

    /// Asks, again and again as `patience` has it, and gives the replies to `hear` until it returns something.
    async fn ask<T>(
        &self,
        ask: Ask<'_>,
        patience: Patience,
        during: &'static str,
        hear: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<T, LinkError> {
        self.ask_beside(ask, patience, during, hear, |_, _| {}).await
    }

    /// [`ask`](Self::ask), with `beside` for the replies to other requests, of which it gets the ids.
    async fn ask_beside<T>(
        &self,
        ask: Ask<'_>,
        patience: Patience,
        during: &'static str,
        mut hear: impl FnMut(Answer<'_>) -> Option<T>,
        mut beside: impl FnMut(u32, Answer<'_>),
    ) -> Result<T, LinkError> {
        let id = self.new_id();
        let mut wait = patience.first;
        let last = self.now() + patience.limit;
        while self.now() < last {
            self.say(id, ask).await;
            let end = (self.now() + wait).min(last);
            wait *= 2;
            while let Some(payload) = self.frame(end).await {
                let Some(Packet::Reply(Reply { id: of, answer })) = decode(&payload) else { continue };
                if of != id {
                    beside(of, answer);
                    continue;
                }
                if let Answer::Error(error) = answer {
                    return Err(LinkError::Refused(error));
                }
                if let Some(result) = hear(answer) {
                    return Ok(result);
                }
            }
        }
        Err(LinkError::Timeout { during })
    }

    /// The next whole frame, which may have arrived already; nothing when there is none until `end`, however much else
    /// comes.
    async fn frame(&self, end: Duration) -> Option<Vec<u8>> {
        let next = poll_fn(|_| {
            let mut line = self.line.borrow_mut();
            line.deadline = Some(end);
            match line.frame() {
                Some(frame) => Poll::Ready(Some(frame)),
                None if line.now >= end => Poll::Ready(None),
                None => Poll::Pending,
            }
        });
        next.await
    }

    /// Sends a request, and waits until the line has taken it: how long an answer takes is counted from then on.
    async fn say(&self, id: u32, ask: Ask<'_>) {
        let data = match ask {
            Ask::UploadChunk { data, .. } => data.len(),
            Ask::StoreLatent { numbers, .. } => numbers.len(),
            Ask::Pieces { wanted, .. } => wanted.len(),
            Ask::Sample { latent: LatentSource::Z(bytes) | LatentSource::W(bytes), .. } => bytes.len(),
            _ => 0,
        };
        let mut frame = vec![0; data + data / 200 + 128];
        let Ok(len) = encode(&Packet::Request(Request { id, ask }), &mut frame).map(<[u8]>::len) else {
            unreachable!("the buffer is longer than the longest frame of {data} bytes")
        };
        frame.truncate(len);
        self.line.borrow_mut().outbox.push_back(frame);
        let taken = poll_fn(|_| {
            let mut line = self.line.borrow_mut();
            if line.outbox.is_empty() {
                return Poll::Ready(());
            }
            line.deadline = Some(line.now);
            Poll::Pending
        });
        taken.await;
    }

    fn now(&self) -> Duration {
        self.line.borrow().now
    }

    fn new_id(&self) -> u32 {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        id
    }

    fn next_id(&self) -> u32 {
        self.next_id.get()
    }
}

impl core::fmt::Debug for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Machine").field("board", &self.board).finish_non_exhaustive()
    }
}
