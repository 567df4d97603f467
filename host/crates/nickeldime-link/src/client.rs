//! Talks to one board: requests with ids, repeated when no reply comes, with a time limit on everything.

use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use nickeldime_core::generator::{Latent, Sample};
use nickeldime_core::link::{
    Answer, Ask, DeviceError, FrameReader, LatentSource, PROTOCOL_VERSION, Packet, Reply, Request, Sha256Hash, Status,
    checksum, decode, encode,
};
use sha2::{Digest, Sha256};

use super::error::PortError;
use super::info::{BoardInfo, shown};
use super::rows::{Rows, Taken};
use super::wire::{SerialWire, Wire};
use nickeldime_core::hex::Hex;

mod upload;

pub use upload::Sent;

/// How long a board may take to say hello after its port was opened (a reset on open included).
const HELLO: Duration = Duration::from_secs(5);
/// How often hello is said in that time: the first may fall into a reset or behind half a frame.
const HELLO_AGAIN: Duration = Duration::from_millis(400);
/// For what needs no more than looking something up, and its way at 9600 baud.
const QUICK: Patience = Patience { first: Duration::from_secs(1), limit: Duration::from_secs(20) };
/// Between the rows of an image: a slow core without a divider, at a large resolution.
const ROW: Patience = Patience { first: Duration::from_secs(2), limit: Duration::from_secs(60) };
/// How long a port may take to take a frame.
const SEND: Duration = Duration::from_secs(6);
/// An image that arrives with holes is asked for again so often.
const IMAGES: u32 = 3;

/// How long to wait for a reply.
#[derive(Clone, Copy)]
struct Patience {
    /// Before the request is repeated for the first time; every time after that twice as long.
    first: Duration,
    /// In all.
    limit: Duration,
}

/// What has come over the line since the last hello.
#[derive(Default)]
struct Heard {
    bytes: u64,
    frames: u64,
    /// How it began.
    first: Vec<u8>,
}

/// So much is kept of how it began.
const FIRST: usize = 40;

/// What a reply meant to the one who waits for it.
enum Meant<T> {
    /// That was it.
    End(T),
    /// A whole part of it: the wait for the next begins anew.
    More,
    /// Not the end; the wait goes on and gets no longer.
    Other,
}

/// An image from a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Width and height.
    pub resolution: usize,
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub channels: usize,
    /// The pixels, `channels * resolution * resolution` bytes in row order.
    pub pixels: Vec<u8>,
    /// SHA-256 of them, as the board computed it and as they arrived.
    pub sha256: Sha256Hash,
    /// Time that it took, its way over the line included.
    pub elapsed: Duration,
}

/// A connection to one board.
pub struct Client {
    wire: Box<dyn Wire>,
    port: String,
    reader: FrameReader<Vec<u8>>,
    inbox: Vec<u8>,
    next_id: u32,
    heard: Heard,
    board: BoardInfo,
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
    /// As [`open`](Self::open).
    pub fn open_within(port: &str, limit: Duration) -> Result<Self, PortError> {
        Self::over(Box::new(SerialWire::open(port)?), port, limit)
    }

    /// A connection over any line; `port` is its name in errors.
    ///
    /// # Errors
    /// When nobody there speaks the protocol.
    pub fn over(wire: Box<dyn Wire>, port: &str, limit: Duration) -> Result<Self, PortError> {
        let mut client = Self {
            wire,
            port: port.to_owned(),
            reader: FrameReader::new(vec![0; 8192]),
            inbox: Vec::new(),
            next_id: first_id(),
            heard: Heard::default(),
            board: BoardInfo::default(),
        };
        client.board = client.hello(limit)?;
        Ok(client)
    }

    /// What the board said about itself, last.
    pub fn board(&self) -> &BoardInfo {
        &self.board
    }

    /// How the board is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&mut self) -> Result<Status, PortError> {
        self.ask(Ask::Status, QUICK, "status", |answer| match answer {
            Answer::Status(status) => Meant::End(status),
            _ => Meant::Other,
        })
    }

    /// Stops an image that the board is making; returns how many rows it had sent.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn cancel(&mut self) -> Result<u16, PortError> {
        self.ask(Ask::Cancel, ROW, "cancel", |answer| match answer {
            Answer::Cancelled { rows } => Meant::End(rows),
            _ => Meant::Other,
        })
    }

    /// Empties the board's storage, its model included.
    ///
    /// # Errors
    /// When it does not answer, or its flash fails.
    pub fn erase(&mut self) -> Result<(), PortError> {
        // 20 kB/s is a slow flash.
        let limit = Duration::from_secs(20 + u64::from(self.board.storage) / 20_000);
        let patience = Patience { first: Duration::from_secs(3), limit };
        self.ask(Ask::Erase, patience, "erasing", |answer| match answer {
            Answer::Erased => Meant::End(()),
            _ => Meant::Other,
        })?;
        self.board = self.hello(HELLO)?;
        Ok(())
    }

    /// Has the board make one image. `row(y, pixels)` sees its rows as they come, from the top; when some get lost the
    /// image is made again and its rows come again. Breaking off stops the board too.
    ///
    /// # Errors
    /// [`PortError::LatentTooLong`] before anything is sent; [`PortError::Refused`], [`PortError::Stopped`],
    /// [`PortError::Damaged`], or that the line broke.
    pub fn sample(
        &mut self,
        sample: &Sample<'_>,
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<Image, PortError> {
        let Some(model) = &self.board.model else {
            return Err(PortError::Refused(DeviceError::NoModel));
        };
        let size = (usize::from(model.resolution), usize::from(model.channels));
        let room = match sample.latent {
            Latent::Layers(_) => self.board.stored_latents,
            _ => self.board.latents,
        };
        let (given, room) = (numbers(&sample.latent), usize::from(room));
        if given > room {
            return Err(PortError::LatentTooLong { given, room });
        }
        let latent_bytes: Vec<u8> = match sample.latent {
            Latent::Seed(_) | Latent::Pair { .. } => Vec::new(),
            Latent::Z(z) => z.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Latent::W(w) | Latent::Layers(w) => w.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
        let latent = match sample.latent {
            Latent::Seed(seed) => LatentSource::Seed(seed),
            Latent::Pair { seeds, join } => LatentSource::Pair { seeds, join },
            Latent::Z(_) => LatentSource::Z(&latent_bytes),
            Latent::W(_) => LatentSource::W(&latent_bytes),
            Latent::Layers(_) => {
                self.store_latent(&latent_bytes)?;
                LatentSource::Layers { checksum: checksum(&latent_bytes) }
            }
        };
        let ask = Ask::Sample { latent, psi: sample.psi, noise: sample.noise, piece: 0 };
        for _ in 0..IMAGES {
            match self.sample_once(ask, size, row) {
                Ok(Some(image)) => return Ok(image),
                // Rows got lost: whatever is still on its way has an old id and is passed over.
                Ok(None) => {
                    self.cancel()?;
                }
                Err(PortError::Stopped) => {
                    self.cancel()?;
                    return Err(PortError::Stopped);
                }
                Err(error) => return Err(error),
            }
        }
        Err(PortError::Damaged { port: self.port.clone(), tries: IMAGES })
    }

    /// Sends the numbers of a latent that is longer than a request.
    fn store_latent(&mut self, numbers: &[u8]) -> Result<(), PortError> {
        let longest = 4 * usize::from(self.board.latents.max(1));
        for (i, numbers) in numbers.chunks(longest).enumerate() {
            let first = u16::try_from(i * longest / 4).unwrap_or(u16::MAX);
            self.ask(Ask::StoreLatent { first, numbers }, QUICK, "storing a latent", |answer| match answer {
                Answer::Stored { end } if usize::from(end) == usize::from(first) + numbers.len() / 4 => Meant::End(()),
                _ => Meant::Other,
            })?;
        }
        Ok(())
    }

    /// One try at an image; none when rows got lost.
    fn sample_once(
        &mut self,
        ask: Ask<'_>,
        (resolution, channels): (usize, usize),
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<Option<Image>, PortError> {
        let started = self.wire.now();
        let mut rows = Rows::new(resolution, channels);
        let done = self.ask(ask, ROW, "making an image", |answer| match answer {
            Answer::Row { y, x, pixels } => match rows.take(usize::from(y), usize::from(x), pixels) {
                Taken::Piece => Meant::Other,
                Taken::Row(whole) if row(usize::from(y), whole).is_break() => Meant::End(Err(Some(PortError::Stopped))),
                Taken::Row(_) => Meant::More,
                Taken::Gap => Meant::End(Err(None)),
            },
            Answer::Done { sha256, .. } => Meant::End(Ok(sha256)),
            _ => Meant::Other,
        })?;
        let sha256 = match done {
            Ok(sha256) => sha256,
            Err(Some(error)) => return Err(error),
            Err(None) => return Ok(None),
        };
        let Some(pixels) = rows.whole().filter(|pixels| sha256 == Sha256Hash::from(Sha256::digest(pixels))) else {
            return Ok(None);
        };
        Ok(Some(Image { resolution, channels, pixels, sha256, elapsed: self.wire.now() - started }))
    }

    fn hello(&mut self, limit: Duration) -> Result<BoardInfo, PortError> {
        let end = self.wire.now() + limit;
        let id = self.new_id();
        self.heard = Heard::default();
        let mut echo = false;
        loop {
            // The zero ends whatever half a frame an earlier program left.
            self.tell(&[0])?;
            self.say(id, Ask::Hello { protocol: PROTOCOL_VERSION })?;
            let again = (self.wire.now() + HELLO_AGAIN).min(end);
            while let Some(payload) = self.frame(again)? {
                // These three fields are first in every version, whatever the rest of the hello has become.
                let (from, device) = match postcard::take_from_bytes::<(u8, u32, u8, u16)>(payload) {
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
                let board = match decode(payload) {
                    _ if device != PROTOCOL_VERSION => None,
                    Some(Packet::Reply(Reply { answer: Answer::Hello(hello), .. })) => Some(BoardInfo::from(hello)),
                    _ => None,
                };
                let port = self.port.clone();
                return match board {
                    Some(board) => match board.oddity() {
                        None => Ok(board),
                        Some(what) => Err(PortError::OddHello { port, what }),
                    },
                    None if device == PROTOCOL_VERSION => {
                        let what = format!("it is not one of version {device}, which it says it is");
                        Err(PortError::OddHello { port, what })
                    }
                    None => Err(PortError::WrongProtocol { port, device }),
                };
            }
            if self.wire.now() >= end {
                let port = self.port.clone();
                let Heard { bytes, frames, first } = &self.heard;
                return Err(match (echo, *bytes, *frames) {
                    (true, ..) => PortError::Echo { port },
                    (_, bytes @ 1.., 0) => {
                        PortError::NotOurs { port, bytes, said: shown(&String::from_utf8_lossy(first)) }
                    }
                    _ => PortError::Silent { port },
                });
            }
        }
    }

    /// Asks, again and again as `patience` has it, and gives the replies to `hear` until it has heard the end.
    fn ask<T>(
        &mut self,
        ask: Ask<'_>,
        patience: Patience,
        during: &'static str,
        mut hear: impl FnMut(Answer<'_>) -> Meant<T>,
    ) -> Result<T, PortError> {
        let id = self.new_id();
        let mut wait = patience.first;
        let mut last = self.wire.now() + patience.limit;
        while self.wire.now() < last {
            self.say(id, ask)?;
            let mut end = (self.wire.now() + wait).min(last);
            wait *= 2;
            while let Some(payload) = self.frame(end)? {
                let Some(Packet::Reply(Reply { id: of, answer })) = decode(payload) else { continue };
                if of != id {
                    continue;
                }
                if let Answer::Error(error) = answer {
                    return Err(PortError::Refused(error));
                }
                match hear(answer) {
                    Meant::End(result) => return Ok(result),
                    Meant::More => {
                        wait = patience.first;
                        let now = self.wire.now();
                        (end, last) = (now + wait, now + patience.limit);
                    }
                    Meant::Other => {}
                }
            }
        }
        Err(PortError::Timeout { port: self.port.clone(), during })
    }

    /// The next whole frame before `end`; none when there was none, however much else came.
    fn frame(&mut self, end: Instant) -> Result<Option<&[u8]>, PortError> {
        let mut whole = false;
        while !whole {
            if self.inbox.is_empty() {
                let left = end.saturating_duration_since(self.wire.now());
                if left.is_zero() {
                    return Ok(None);
                }
                let mut buf = [0; 4096];
                let result = self.wire.receive(&mut buf, left);
                let n = result.map_err(|cause| PortError::Lost { port: self.port.clone(), cause })?;
                if n == 0 {
                    continue;
                }
                self.heard.bytes += n as u64;
                let room = FIRST.saturating_sub(self.heard.first.len());
                self.heard.first.extend_from_slice(&buf[..n.min(room)]);
                self.inbox.extend_from_slice(&buf[..n]);
            }
            let mut taken = 0;
            for &byte in &self.inbox {
                taken += 1;
                if self.reader.push(byte) {
                    whole = true;
                    break;
                }
            }
            self.inbox.drain(..taken);
        }
        self.heard.frames += 1;
        Ok(Some(self.reader.payload()))
    }

    fn say(&mut self, id: u32, ask: Ask<'_>) -> Result<(), PortError> {
        let data = match ask {
            Ask::UploadChunk { data, .. } => data.len(),
            Ask::StoreLatent { numbers, .. } => numbers.len(),
            Ask::Sample { latent: LatentSource::Z(bytes) | LatentSource::W(bytes), .. } => bytes.len(),
            _ => 0,
        };
        let mut buf = vec![0; data + data / 200 + 128];
        let Ok(frame) = encode(&Packet::Request(Request { id, ask }), &mut buf) else {
            unreachable!("the buffer is longer than the longest frame of {data} bytes")
        };
        // Borrowed from `buf`, not from `self`.
        self.tell(frame)
    }

    fn tell(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.wire.send(bytes, SEND).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::TimedOut => PortError::Silent { port: self.port.clone() },
            _ => PortError::Lost { port: self.port.clone(), cause },
        })
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.board.model.as_ref().map(|model| Hex(&model.sha256).to_string());
        f.debug_struct("Client").field("port", &self.port).field("model", &model).finish_non_exhaustive()
    }
}

/// How many numbers a latent sends along.
fn numbers(latent: &Latent<'_>) -> usize {
    match latent {
        Latent::Seed(_) | Latent::Pair { .. } => 0,
        Latent::Z(z) => z.len(),
        Latent::W(w) | Latent::Layers(w) => w.len(),
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
