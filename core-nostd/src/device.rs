//! The device: requests in, replies out. One state machine serves the firmware, the in-process board and the tests; a board
//! gives it a serial port, a flash, a clock and some buffers, and calls [`Device::poll`] for ever.
//!
//! ```text
//!             +-- Hello, Status, Cancel ----- anywhere
//!   Idle -----+-- UploadBegin -> Uploading -- UploadRange, UploadChunk ... UploadCommit --> Idle, new model
//!             |                  (the old model still samples)
//!             +-- Erase --------------------------------------------------------------> Idle, no model
//!             +-- Sample, Pieces -> Sampling --- last row, Cancel or Hello --> Idle
//! ```
//!
//! Nothing that arrives makes it panic. It refuses what it cannot do with an [`Answer::Error`], and the loaded model stays. It
//! forgets an upload whose bytes are no pack for this board, or after which the flash failed.
//!
//! A pack is verified once: at the start, or when it is committed. An image reads the header again and checks its structure
//! ([`Pack::reopen`](crate::pack::Pack::reopen)), so that flash which has changed since gives an error or a wrong image and
//! never a panic; the next start verifies the whole pack.

use core::ops::ControlFlow;

use crate::link::message::{Answer, Ask, DeviceError, Hello, Model, Phase, Sha256Hash, Status};
use crate::link::{Line, PROTOCOL_VERSION};
use crate::pack::{FORMAT_VERSION, NoiseKind, Trust};
use crate::sample::{GenerateError, Latent, Noise, Sample};
use crate::storage::{MappedFlash, Storage, StorageError};
use embedded_io::{Read, ReadReady, Write};

mod clock;
mod engine;
mod sampling;

pub use clock::{Clock, NoClock};
pub use engine::{Engine, Facts, Integers};
use sampling::{
    PendingSample, Pieces, ROW_ENVELOPE, Sampler, StoredLatent, Wanted, byte_len, store_latent, take_latent,
};

/// Bytes of an upload chunk beside its data, at most: direction, id, variant, tag, offset and length.
const CHUNK_ENVELOPE: usize = 1 + 5 + 1 + 3 + 5 + 5;
/// Checksums in one answer to a survey: as many as the shortest send buffer has room for.
const SUMS: usize = 48;
/// Bytes of a sample beside its latent, at most: direction, id, variant, kind and length of the latent, psi, noise, piece.
/// (Two seeds are 24 bytes: less than the least that a receive buffer has room for.)
const SAMPLE_ENVELOPE: usize = 1 + 5 + 1 + 1 + 5 + 3 + 11 + 3;

/// The identity of a device, for its hello.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The board's name, as in `--board`.
    pub board: &'static str,
    /// The firmware's version.
    pub firmware: &'static str,
    /// The reason for the last restart that nobody asked for, at most 64 bytes; nothing after an ordinary start.
    pub restart: Option<&'static str>,
    /// The keys that a pack must be signed with one of.
    pub trust: Trust,
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
    /// The workspace of the generator.
    pub workspace: &'b mut [i32],
    /// How many bytes the serial port keeps while the device does something else (a flash sector takes its time): a ring
    /// that an interrupt or DMA fills, or a line whose sender waits, as USB's does. So much may a host have on its way.
    /// 0 for a port that loses what is not taken at once: one request at a time.
    pub window: usize,
}

/// The result of a poll; a board that may sleep does so after an idle one.
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
    pending: Option<PendingSample>,
    wanted: Wanted,
}

/// What follows from a request that needs no more of the receive buffer.
enum Action {
    Say(Answer<'static>),
    SayHello,
    Survey { from: u32 },
    Sample(PendingSample, Pieces),
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
        let storage = Storage::mount_trusting(flash, identity.trust);
        let model = storage
            .active_hashed()
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
            pending: None,
            wanted: Wanted::new(),
        }
    }

    /// Answers the requests that have arrived and returns when no whole one is left. With none to answer, it may erase flash
    /// ahead of an upload.
    pub fn poll(&mut self) -> Activity {
        let mut activity = Activity::Idle;
        while self.line.receive() {
            activity = Activity::Busy;
            let (id, action) = match self.line.request() {
                Ok(request) => (request.id, None),
                Err(Some(id)) => (id, Some(Action::Say(Answer::Error(DeviceError::UnknownRequest)))),
                Err(None) => {
                    self.line.reject();
                    continue;
                }
            };
            match action.unwrap_or_else(|| self.handle()) {
                Action::Say(answer) => {
                    self.line.send(id, answer);
                }
                Action::SayHello => self.say_hello(id),
                Action::Survey { from } => self.survey(id, from),
                Action::Sample(sample, pieces) => self.sample(id, sample, pieces),
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

    /// Makes an image that no host asked for and sends it nowhere, for engines that show images. Stops when bytes arrive. psi
    /// is Q14; the noise is of the model's default kind.
    ///
    /// # Errors
    /// Every [`GenerateError`]; [`GenerateError::Stopped`] also when no model is loaded.
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

    /// The parts that [`new`](Self::new) took, but for the identity and the engine, with the flash as it is now: a reset
    /// starts from them.
    pub fn into_parts(self) -> (S, F, C, Buffers<'b>) {
        let (serial, receive, send) = self.line.into_parts();
        let (latents, workspace, window) = (self.latents, self.workspace, self.window);
        (serial, self.storage.release(), self.clock, Buffers { receive, send, latents, workspace, window })
    }

    /// Reads the request at hand and does all of it that needs the receive buffer.
    fn handle(&mut self) -> Action {
        let Ok(request) = self.line.request() else {
            return Action::Say(Answer::Error(DeviceError::UnknownRequest));
        };
        let id = request.id;
        let chunk = chunk_len::<F>(self.line.receive_room());
        let result = match request.ask {
            Ask::Hello { .. } => return Action::SayHello,
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
            Ask::UploadSurvey { upload, .. } | Ask::UploadRange { upload, .. } | Ask::UploadChunk { upload, .. }
                if !self.storage.expects(upload) =>
            {
                Err(DeviceError::NoUpload)
            }
            Ask::UploadSurvey { from, .. } => return Action::Survey { from },
            Ask::UploadRange { after, offset, end, .. } => match self.storage.announce(after, offset, end) {
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
            Ask::Sample { latent, psi, noise, piece } => {
                // The latent takes the place of the one before.
                self.pending = None;
                let latent = take_latent(self.model.as_ref(), &latent, self.latents);
                match latent.and_then(|latent| self.new_sample(id, latent, psi, noise, piece)) {
                    Ok((sample, pieces)) => return Action::Sample(sample, pieces),
                    Err(error) => Err(error),
                }
            }
            Ask::Pieces { sample, model, piece, first, wanted } => {
                let kept = self.wanted.keep(wanted);
                match self.old_sample(sample, &model, piece, first, kept) {
                    Ok((sample, pieces)) => return Action::Sample(sample, pieces),
                    Err(error) => Err(error),
                }
            }
            Ask::StoreLatent { first, numbers } => {
                self.pending = None;
                store_latent(first, numbers, self.latents).map(|end| Answer::Stored { end })
            }
        };
        Action::Say(result.unwrap_or_else(Answer::Error))
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
                (self.model, self.pending) = (Some(facts), None);
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
            (self.model, self.pending) = (None, None);
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
                channels: facts.channels,
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
            stored_latents: u16::try_from(self.latents.len()).unwrap_or(u16::MAX),
            piece: u16::try_from(self.piece_len()).unwrap_or(u16::MAX),
            tick_hz: C::HZ,
            counts_instructions: C::COUNTS_INSTRUCTIONS,
            restart: self.identity.restart,
            trusted: self.identity.trust.ids.as_flattened(),
            model,
        };
        self.line.send(id, Answer::Hello(hello));
    }

    /// Most bytes of pixels in one reply.
    fn piece_len(&self) -> usize {
        self.line.send_room().saturating_sub(ROW_ENVELOPE)
    }

    /// Most pixels in one reply.
    fn most_pixels(&self) -> usize {
        let channels = self.model.as_ref().map_or(3, |facts| usize::from(facts.channels)).max(1);
        (self.piece_len() / channels).max(1)
    }

    /// Remembers a sample, and divides its rows into pieces of at most `piece` pixels.
    fn new_sample(
        &mut self,
        id: u32,
        latent: StoredLatent,
        psi: i16,
        noise: Noise,
        piece: u16,
    ) -> Result<(PendingSample, Pieces), DeviceError> {
        let model = self.loaded().ok_or(DeviceError::NoModel)?;
        let sample = PendingSample { id, latent, psi, noise, model };
        self.pending = Some(sample);
        let most = self.most_pixels();
        let pixels = if piece == 0 { most } else { most.min(piece.into()) };
        Ok((sample, Pieces { pixels, first: None }))
    }

    /// The remembered sample, for pieces of it; `kept` says that there was room for their bits.
    fn old_sample(
        &self,
        id: u32,
        model: &Sha256Hash,
        piece: u16,
        first: u32,
        kept: bool,
    ) -> Result<(PendingSample, Pieces), DeviceError> {
        let loaded = self.loaded().ok_or(DeviceError::NoModel)?;
        if loaded != *model {
            return Err(DeviceError::ModelChanged);
        }
        let pending = self.pending.filter(|pending| pending.id == id && pending.model == loaded);
        let pending = pending.ok_or(DeviceError::NoSample)?;
        let most = self.most_pixels();
        let pixels = usize::from(piece);
        if !kept || !(1..=most).contains(&pixels) {
            return Err(DeviceError::WrongPiece { most: u16::try_from(most).unwrap_or(u16::MAX) });
        }
        Ok((pending, Pieces { pixels, first: Some(usize::try_from(first).unwrap_or(usize::MAX)) }))
    }

    fn sample(&mut self, id: u32, sample: PendingSample, pieces: Pieces) {
        let (Some(pack), Some(facts)) = (self.storage.active(), &self.model) else {
            self.line.send(id, Answer::Error(DeviceError::NoModel));
            return;
        };
        let sampler = Sampler {
            line: &mut self.line,
            clock: &mut self.clock,
            engine: &self.engine,
            latents: self.latents,
            workspace: self.workspace,
            wanted: &self.wanted,
        };
        if let Some(hello) = sampler.sample(id, sample, pieces, pack, facts) {
            self.say_hello(hello);
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
        StorageError::Untrusted => {
            DeviceError::Untrusted { wanted: storage.trust().ids.first().copied().unwrap_or_default() }
        }
        StorageError::Flash => DeviceError::Storage,
    }
}

/// The longest chunk that a receive buffer has room for: whole sectors when there is room for one, whole words at least.
fn chunk_len<F: MappedFlash>(receive_room: usize) -> u32 {
    let room = receive_room.saturating_sub(CHUNK_ENVELOPE);
    let unit = if room >= F::ERASE_SIZE { F::ERASE_SIZE } else { F::WRITE_SIZE };
    u32::try_from(room / unit * unit).unwrap_or(u32::MAX)
}

/// The most numbers of a latent in one request: the buffer has room for them, and the request can arrive.
fn latents(places: usize, receive_room: usize) -> u16 {
    let arriving = receive_room.saturating_sub(SAMPLE_ENVELOPE) / 4;
    u16::try_from(places.min(arriving)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
