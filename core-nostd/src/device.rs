//! The device: requests in, replies out. One state machine, the same in the firmware, in the in-process board and in
//! the tests; a board gives it a serial port, a flash, a clock and some buffers, and calls [`Device::poll`] for ever.
//!
//! ```text
//!             +-- Hello, Status, Cancel ----- anywhere
//!   Idle -----+-- UploadBegin -> Uploading -- UploadRun, UploadChunk ... UploadCommit --> Idle, new model
//!             |                  (the old model still samples)
//!             +-- Erase --------------------------------------------------------------> Idle, no model
//!             +-- Sample ------> Sampling --- last row, Cancel or Hello -----> Idle
//! ```
//!
//! Nothing that arrives makes it panic. What it cannot do it says in an [`Answer::Error`], and the loaded model stays; an
//! upload whose bytes are no pack for this board, or which the flash failed, is forgotten.

use core::ops::ControlFlow;

use embedded_io::{Read, ReadReady, Write};
use sha2::{Digest, Sha256};

use crate::link::message::{Answer, Ask, DeviceError, Hello, LatentSource, Model, Phase, Sha256Hash, Status};
use crate::link::{Line, PROTOCOL_VERSION};
use crate::pack::{FORMAT_VERSION, NoiseKind};
use crate::sample::{GenerateError, Join, Latent, Noise, Sample};
use crate::storage::{MappedFlash, Storage, StorageError};

mod engine;

pub use engine::{Engine, Facts, Integers};

/// What an upload chunk costs beside its data, at most: direction, id, variant, tag, offset and length.
const CHUNK_ENVELOPE: usize = 1 + 5 + 1 + 3 + 5 + 5;
/// Sums in one answer to a survey: what the shortest send buffer has room for.
const SUMS: usize = 48;
/// What a sample costs beside its latent, at most: direction, id, variant, kind and length of the latent, psi, noise. (Two
/// seeds are 24 bytes: less than the least that a receive buffer has room for.)
const SAMPLE_ENVELOPE: usize = 1 + 5 + 1 + 1 + 5 + 3 + 11;
/// What a row costs beside its pixels, at most: direction, id, variant, y, x and length.
const ROW_ENVELOPE: usize = 1 + 5 + 1 + 3 + 3 + 3;

/// A clock that counts up. It is read at every row at least, which lets a board extend a counter that wraps.
pub trait Clock {
    /// Ticks per second; 0 for no clock.
    const HZ: u32;

    /// The time now.
    fn now(&mut self) -> u64;
}

/// No clock: every image takes no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    const HZ: u32 = 0;

    fn now(&mut self) -> u64 {
        0
    }
}

/// Who the device says it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The board's name, as in `--board`.
    pub board: &'static str,
    /// The firmware's version.
    pub firmware: &'static str,
    /// Why it started anew without having been asked to, at most 64 bytes; nothing after an ordinary start.
    pub restart: Option<&'static str>,
}

/// The RAM that a board gives to its device.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// One request: a chunk of an upload or a latent, and 32 bytes. Longest when it holds a sector of the flash.
    pub receive: &'b mut [u8],
    /// One reply: a piece of a row and 32 bytes; at least 256, for a hello.
    pub send: &'b mut [u8],
    /// A latent from the host.
    pub latents: &'b mut [i32],
    /// What the generator works in.
    pub workspace: &'b mut [i32],
    /// How many bytes the serial port keeps while the device does something else (a flash sector takes its time): a ring
    /// that an interrupt or DMA fills, or a line whose sender waits, as USB's does. So much may a host have on its way.
    /// 0 for a port that loses what is not taken at once: one request at a time.
    pub window: usize,
}

/// Whether a poll found something to do; a board that may sleep sleeps when it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A request was answered.
    Busy,
    /// Nothing complete had arrived.
    Idle,
}

/// The device.
pub struct Device<'b, S, F, C = NoClock, E = Integers> {
    identity: Identity,
    line: Line<'b, S>,
    storage: Storage<F>,
    clock: C,
    engine: E,
    latents: &'b mut [i32],
    workspace: &'b mut [i32],
    window: usize,
    model: Option<Facts>,
}

/// What to do about a request, once it needs no more of the receive buffer.
enum Step {
    Say(Answer<'static>),
    SayHello,
    Survey { from: u32 },
    Sample(Plan),
}

/// A sample whose latent, if the host sent one, lies in the latent buffer.
#[derive(Clone, Copy)]
struct Plan {
    latent: LatentPlan,
    psi: i16,
    noise: Noise,
}

#[derive(Clone, Copy)]
enum LatentPlan {
    Seed(u64),
    Z(usize),
    W(usize),
    Pair([u64; 2], Join),
}

impl<'b, S, F, C, E> Device<'b, S, F, C, E>
where
    S: Read + ReadReady + Write,
    F: MappedFlash,
    C: Clock,
    E: Engine,
{
    /// A device with what `flash` has stored.
    pub fn new(identity: Identity, serial: S, flash: F, clock: C, engine: E, buffers: Buffers<'b>) -> Self {
        let storage = Storage::mount(flash);
        let model = storage
            .active()
            .and_then(|pack| engine.open(pack).ok())
            .filter(|facts| facts.workspace_len <= buffers.workspace.len());
        Self {
            identity,
            line: Line::new(serial, buffers.receive, buffers.send),
            storage,
            clock,
            engine,
            latents: buffers.latents,
            workspace: buffers.workspace,
            window: buffers.window,
            model,
        }
    }

    /// Answers what has arrived. Returns when nothing whole is left; a whole one missing, it may have prepared the flash for
    /// what comes next.
    pub fn poll(&mut self) -> Activity {
        let mut activity = Activity::Idle;
        while self.line.receive() {
            activity = Activity::Busy;
            let (id, step) = match self.line.request() {
                Ok(request) => (request.id, None),
                Err(Some(id)) => (id, Some(Step::Say(Answer::Error(DeviceError::UnknownRequest)))),
                Err(None) => {
                    self.line.reject();
                    continue;
                }
            };
            match step.unwrap_or_else(|| self.step()) {
                Step::Say(answer) => {
                    self.line.send(id, answer);
                }
                Step::SayHello => self.say_hello(id),
                Step::Survey { from } => self.survey(id, from),
                Step::Sample(plan) => self.sample(id, plan),
            }
        }
        // While the next chunk arrives, which must not be lost over it.
        if activity == Activity::Idle && self.window > self.line.receive_room() && self.storage.erase_ahead() {
            activity = Activity::Busy;
        }
        activity
    }

    /// The serial port, for a board that has to look after it.
    pub fn serial(&mut self) -> &mut S {
        self.line.serial()
    }

    /// The clock.
    pub fn clock(&mut self) -> &mut C {
        &mut self.clock
    }

    /// Makes an image that no host asked for and sends it nowhere: the engine shows it, where it shows anything. Breaks off
    /// when something arrives. psi is Q14, the noise the model's own.
    ///
    /// # Errors
    /// Why there is no image, or not all of it; [`GenerateError::Stopped`] too when there is no model.
    pub fn draw(&mut self, seed: u64, psi: i16) -> Result<(), GenerateError> {
        let (Some(facts), Some(pack)) = (&self.model, self.storage.active()) else {
            return Err(GenerateError::Stopped);
        };
        let noise = match facts.noise {
            NoiseKind::None => Noise::None,
            NoiseKind::Const => Noise::Const,
            NoiseKind::Random => Noise::Random(seed),
        };
        let sample = Sample { latent: Latent::Seed(seed), psi, noise };
        let line = &mut self.line;
        self.engine.generate(pack, &sample, self.workspace, &mut |_, _| match line.has_bytes() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    /// The flash, to look at.
    pub fn flash(&self) -> &F {
        self.storage.flash()
    }

    /// The flash, for a board that has to look after it. It keeps the bytes that it has.
    pub fn flash_mut(&mut self) -> &mut F {
        self.storage.flash_mut()
    }

    /// Hash of the loaded model's pack.
    pub fn loaded(&self) -> Option<Sha256Hash> {
        self.model.as_ref().and(self.storage.active_sha256())
    }

    /// What [`new`](Self::new) took, but for the identity and the engine; the flash as it is now. Together they are what a
    /// reset starts from.
    pub fn into_parts(self) -> (S, F, C, Buffers<'b>) {
        let (serial, receive, send) = self.line.into_parts();
        let (latents, workspace, window) = (self.latents, self.workspace, self.window);
        (serial, self.storage.release(), self.clock, Buffers { receive, send, latents, workspace, window })
    }

    /// Reads the request at hand and does all of it that needs the receive buffer.
    fn step(&mut self) -> Step {
        let Ok(request) = self.line.request() else {
            return Step::Say(Answer::Error(DeviceError::UnknownRequest));
        };
        let chunk = chunk_len::<F>(self.line.receive_room());
        let result = match request.ask {
            Ask::Hello { .. } => return Step::SayHello,
            Ask::Status => Ok(Answer::Status(Status {
                phase: match self.storage.progress() {
                    Some((received, len)) => Phase::Uploading { received, len },
                    None => Phase::Idle,
                },
                dropped: self.line.dropped(),
                model: self.loaded(),
            })),
            Ask::UploadBegin { sha256, .. } if self.has(&sha256) => Ok(Answer::Committed { sha256 }),
            Ask::UploadBegin { len, sha256 } => match self.storage.begin(len, sha256) {
                Ok(offset) => Ok(Answer::Ready {
                    offset,
                    chunk,
                    granule: Storage::<F>::WORD,
                    window: self.window(),
                    unit: Storage::<F>::UNIT,
                    sector: Storage::<F>::SECTOR,
                }),
                Err(error) => Err(refusal(error, len, &self.storage)),
            },
            Ask::UploadSurvey { upload, .. } | Ask::UploadRun { upload, .. } | Ask::UploadChunk { upload, .. }
                if !self.storage.expects(upload) =>
            {
                Err(DeviceError::NoUpload)
            }
            Ask::UploadSurvey { from, .. } => return Step::Survey { from },
            Ask::UploadRun { after, offset, end, .. } => match self.storage.run(after, offset, end) {
                Ok(offset) => Ok(Answer::Ack { offset }),
                Err(error) => Err(refusal(error, 0, &self.storage)),
            },
            Ask::UploadChunk { offset, data, .. } => match self.storage.write(offset, data) {
                Ok(offset) => Ok(Answer::Ack { offset }),
                Err(error) => Err(refusal(error, 0, &self.storage)),
            },
            Ask::UploadCommit { sha256 } => self.commit(&sha256).map(|()| Answer::Committed { sha256 }),
            Ask::UploadAbort => {
                self.storage.abort();
                Ok(Answer::Aborted)
            }
            Ask::Cancel => Ok(Answer::Cancelled { rows: 0 }),
            Ask::Erase => self.erase().map(|()| Answer::Erased),
            Ask::Sample { latent, psi, noise } => match take_latent(self.model.as_ref(), &latent, self.latents) {
                Ok(latent) => return Step::Sample(Plan { latent, psi, noise }),
                Err(error) => Err(error),
            },
        };
        Step::Say(result.unwrap_or_else(Answer::Error))
    }

    /// Whether the pack with this hash is loaded and runs.
    fn has(&self, sha256: &Sha256Hash) -> bool {
        self.loaded().as_ref() == Some(sha256)
    }

    fn commit(&mut self, sha256: &Sha256Hash) -> Result<(), DeviceError> {
        match self.storage.staged_sha256() {
            Some(staged) if staged == *sha256 => {}
            // The reply to an earlier commit got lost.
            _ if self.has(sha256) => return Ok(()),
            _ => return Err(DeviceError::NoUpload),
        }
        let facts = match self.storage.staged() {
            Ok(pack) => self.engine.open(pack).map_err(DeviceError::BadPack),
            Err(error @ StorageError::Incomplete { .. }) => return Err(refusal(error, 0, &self.storage)),
            Err(error) => Err(refusal(error, 0, &self.storage)),
        };
        let facts = facts.and_then(|facts| {
            let (needed, available) = (byte_len(facts.workspace_len), byte_len(self.workspace.len()));
            let fits = facts.workspace_len <= self.workspace.len();
            if fits { Ok(facts) } else { Err(DeviceError::WorkspaceTooSmall { needed, available }) }
        });
        match facts {
            Ok(facts) => {
                self.storage.commit().map_err(|error| refusal(error, 0, &self.storage))?;
                self.model = Some(facts);
                Ok(())
            }
            Err(error) => {
                // These bytes will not get better: the next begin of the same pack starts over.
                self.storage.abort();
                Err(error)
            }
        }
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        let result = self.storage.erase();
        if self.storage.active().is_none() {
            self.model = None;
        }
        result.map_err(|error| refusal(error, 0, &self.storage))
    }

    fn survey(&mut self, id: u32, from: u32) {
        let mut sums = [0; SUMS];
        let answer = match self.storage.survey(from, &mut sums) {
            Ok(count) => {
                sums.iter_mut().for_each(|sum| *sum = sum.to_le());
                Answer::Survey { from, sums: bytemuck::cast_slice(&sums[..count]) }
            }
            Err(error) => Answer::Error(refusal(error, 0, &self.storage)),
        };
        self.line.send(id, answer);
    }

    fn window(&self) -> u32 {
        u32::try_from(self.window).unwrap_or(u32::MAX)
    }

    fn say_hello(&mut self, id: u32) {
        let model = match (&self.model, self.storage.active_sha256(), self.storage.active()) {
            (Some(facts), Some(sha256), Some(pack)) => Some(Model {
                name: &facts.name,
                sha256,
                len: pack.len() as u32,
                resolution: facts.resolution,
                z_dim: facts.z_dim,
                w_dim: facts.w_dim,
                noise: facts.noise,
            }),
            _ => None,
        };
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            pack_format: FORMAT_VERSION,
            board: self.identity.board,
            firmware: self.identity.firmware,
            storage: self.storage.capacity(),
            free: self.storage.free(),
            workspace: byte_len(self.workspace.len()),
            chunk: chunk_len::<F>(self.line.receive_room()),
            window: self.window(),
            latents: latents(self.latents.len(), self.line.receive_room()),
            tick_hz: C::HZ,
            restart: self.identity.restart,
            model,
        };
        self.line.send(id, Answer::Hello(hello));
    }

    fn sample(&mut self, id: u32, plan: Plan) {
        let Some(pack) = self.storage.active() else {
            self.line.send(id, Answer::Error(DeviceError::NoModel));
            return;
        };
        let numbers: &[i32] = self.latents;
        let latent = match plan.latent {
            LatentPlan::Seed(seed) => Latent::Seed(seed),
            LatentPlan::Z(len) => Latent::Z(&bytemuck::cast_slice(numbers)[..len]),
            LatentPlan::W(len) => Latent::W(&numbers[..len]),
            LatentPlan::Pair(seeds, join) => Latent::Pair { seeds, join },
        };
        let sample = Sample { latent, psi: plan.psi, noise: plan.noise };
        let loaded = self.storage.active_sha256();
        let (line, clock) = (&mut self.line, &mut self.clock);
        let piece = (line.send_room().saturating_sub(ROW_ENVELOPE) / 3).max(1);
        let started = clock.now();
        let mut hash = Sha256::new();
        let mut rows = 0u16;
        let mut stopped = None;
        let result = self.engine.generate(pack, &sample, self.workspace, &mut |y, rgb| {
            clock.now();
            stopped = interruption(line, id, loaded);
            if stopped.is_some() {
                return ControlFlow::Break(());
            }
            hash.update(rgb);
            for (i, rgb) in rgb.chunks(3 * piece).enumerate() {
                if !line.send(id, Answer::Row { y: y as u16, x: (i * piece) as u16, rgb }) {
                    return ControlFlow::Break(());
                }
            }
            rows = rows.saturating_add(1);
            ControlFlow::Continue(())
        });
        let ticks = self.clock.now().saturating_sub(started);
        let answer = match result {
            Ok(()) => Answer::Done { rows, sha256: hash.finalize().into(), ticks },
            Err(GenerateError::Stopped) => Answer::Error(DeviceError::Stopped { rows }),
            Err(error) => Answer::Error(DeviceError::NotGenerated(error)),
        };
        self.line.send(id, answer);
        match stopped {
            None => {}
            Some(Interruption::Cancel(cancel)) => {
                self.line.send(cancel, Answer::Cancelled { rows });
            }
            Some(Interruption::Hello(hello)) => self.say_hello(hello),
        }
    }
}

/// What stops a sample.
enum Interruption {
    Cancel(u32),
    Hello(u32),
}

/// Looks at what arrived while the sample `running` is made: answers what can wait for nothing, refuses the rest.
fn interruption<S: Read + ReadReady + Write>(
    line: &mut Line<'_, S>,
    running: u32,
    model: Option<Sha256Hash>,
) -> Option<Interruption> {
    while line.receive() {
        let (id, answer) = match line.request() {
            Ok(request) => match request.ask {
                Ask::Cancel => return Some(Interruption::Cancel(request.id)),
                // Another host, or the same one started again: nobody waits for these rows any more.
                Ask::Hello { .. } => return Some(Interruption::Hello(request.id)),
                // The request that is being answered, heard twice.
                Ask::Sample { .. } if request.id == running => continue,
                Ask::Status => {
                    let status = Status { phase: Phase::Sampling, dropped: line.dropped(), model };
                    (request.id, Answer::Status(status))
                }
                _ => (request.id, Answer::Error(DeviceError::Busy)),
            },
            Err(Some(id)) => (id, Answer::Error(DeviceError::UnknownRequest)),
            Err(None) => {
                line.reject();
                continue;
            }
        };
        line.send(id, answer);
    }
    None
}

/// Brings a latent from the host into the latent buffer.
fn take_latent(model: Option<&Facts>, latent: &LatentSource<'_>, room: &mut [i32]) -> Result<LatentPlan, DeviceError> {
    let model = model.ok_or(DeviceError::NoModel)?;
    let wrong = |given: &[u8], wanted: usize| DeviceError::WrongLatent {
        given: byte_len_of(given),
        wanted: u32::try_from(wanted).unwrap_or(u32::MAX),
    };
    match *latent {
        LatentSource::Seed(seed) => Ok(LatentPlan::Seed(seed)),
        LatentSource::Pair { seeds, join } => Ok(LatentPlan::Pair(seeds, join)),
        LatentSource::Z(bytes) => {
            let len = usize::from(model.z_dim);
            let room: &mut [i16] = bytemuck::cast_slice_mut(room);
            if bytes.len() != 2 * len || room.len() < len {
                return Err(wrong(bytes, 2 * len));
            }
            for (place, number) in room.iter_mut().zip(bytes.as_chunks().0) {
                *place = i16::from_le_bytes(*number);
            }
            Ok(LatentPlan::Z(len))
        }
        LatentSource::W(bytes) => {
            let len = usize::from(model.w_dim);
            if bytes.len() != 4 * len || room.len() < len {
                return Err(wrong(bytes, 4 * len));
            }
            for (place, number) in room.iter_mut().zip(bytes.as_chunks().0) {
                *place = i32::from_le_bytes(*number);
            }
            Ok(LatentPlan::W(len))
        }
    }
}

fn refusal<F: MappedFlash>(error: StorageError, len: u32, storage: &Storage<F>) -> DeviceError {
    match error {
        StorageError::TooLarge => DeviceError::TooLarge { len, free: storage.free(), storage: storage.capacity() },
        StorageError::NotStaged => DeviceError::NoUpload,
        StorageError::WrongOffset { expected } => DeviceError::WrongOffset { expected },
        StorageError::WrongLength => DeviceError::WrongLength { granule: Storage::<F>::WORD },
        StorageError::Incomplete { received, len } => DeviceError::Incomplete { received, len },
        StorageError::HashMismatch => DeviceError::HashMismatch,
        StorageError::NotErased => DeviceError::NotErased,
        StorageError::Flash => DeviceError::Storage,
    }
}

/// The longest chunk that a receive buffer has room for: whole sectors when there is room for one, whole words at least.
fn chunk_len<F: MappedFlash>(receive_room: usize) -> u32 {
    let room = receive_room.saturating_sub(CHUNK_ENVELOPE);
    let unit = if room >= F::ERASE_SIZE { F::ERASE_SIZE } else { F::WRITE_SIZE };
    u32::try_from(room / unit * unit).unwrap_or(u32::MAX)
}

/// The most numbers in a latent: there is a place for it, and the request with it can arrive.
fn latents(places: usize, receive_room: usize) -> u16 {
    let arriving = receive_room.saturating_sub(SAMPLE_ENVELOPE) / 4;
    u16::try_from(places.min(arriving)).unwrap_or(u16::MAX)
}

/// Bytes in so many `i32`s.
fn byte_len(words: usize) -> u32 {
    u32::try_from(words.saturating_mul(4)).unwrap_or(u32::MAX)
}

fn byte_len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
