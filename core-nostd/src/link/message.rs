//! The messages. Variants are numbered by their place in the enum: new ones go to the end.

use serde::{Deserialize, Serialize};

use crate::pack::{NoiseKind, PackError};
use crate::sample::{GenerateError, Join, Noise};

/// SHA-256 of a whole pack as it was sent, or of an image's RGB bytes in row order.
pub type Sha256Hash = [u8; 32];

/// Everything that travels in a frame. The first byte is the direction, so that a device which hears its own echo
/// (a terminal in cooked mode) does not answer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet<'a> {
    /// Host to device.
    #[serde(borrow)]
    Request(Request<'a>),
    /// Device to host.
    #[serde(borrow)]
    Reply(Reply<'a>),
}

/// One question. The device repeats `id` in every reply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Chosen by the host, different from request to request; the same when a request is repeated.
    pub id: u32,
    /// What is asked.
    #[serde(borrow)]
    pub ask: Ask<'a>,
}

/// One reply to the request `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<'a> {
    /// The request that is answered.
    pub id: u32,
    /// What is answered.
    #[serde(borrow)]
    pub answer: Answer<'a>,
}

/// What a host can ask. Each may be repeated without harm when its reply got lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ask<'a> {
    /// Who are you? Stops a running sample. Answered by [`Answer::Hello`] whatever the version.
    Hello {
        /// [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION) of the host.
        protocol: u16,
    },
    /// How are you? Answered by [`Answer::Status`].
    Status,
    /// A pack of `len` bytes is to come, in place of another one that was on its way. Answered by [`Answer::Ready`], or by [`Answer::Committed`] when it is loaded.
    UploadBegin {
        /// Bytes in the pack.
        len: u32,
        /// SHA-256 of those bytes.
        sha256: Sha256Hash,
    },
    /// Bytes `offset..offset + data.len()` of the pack, inside the run that was announced last. Answered by [`Answer::Ack`].
    UploadChunk {
        /// The [`upload_tag`] of the pack: a chunk of another upload, come late, is none of this one.
        upload: u16,
        /// Place of the first byte; the device takes chunks in order.
        offset: u32,
        /// At most the chunk size of [`Answer::Ready`]; a multiple of its granule but for the last.
        data: &'a [u8],
    },
    /// Check the pack and use it from now on. Answered by [`Answer::Committed`].
    UploadCommit {
        /// The hash given at the begin: a repeated commit is recognised by it.
        sha256: Sha256Hash,
    },
    /// Forget the upload. Answered by [`Answer::Aborted`].
    UploadAbort,
    /// Make one image. Answered by [`Answer::Row`]s and one [`Answer::Done`].
    Sample {
        /// Where the image comes from.
        #[serde(borrow)]
        latent: LatentSource<'a>,
        /// Truncation psi, Q14 (16384 is 1.0: no truncation).
        psi: i16,
        /// What feeds the noise inputs.
        noise: Noise,
    },
    /// Stop the running sample. Answered by [`Answer::Cancelled`], also when none is running.
    Cancel,
    /// What lies where the pack that has begun will go? Answered by [`Answer::Survey`].
    UploadSurvey {
        /// The [`upload_tag`] of the pack.
        upload: u16,
        /// The first byte of the pack that is asked about, a multiple of the unit.
        from: u32,
    },
    /// The bytes `offset..end` come next; those between `after` and `offset` are there already. Answered by [`Answer::Ack`].
    UploadRun {
        /// The [`upload_tag`] of the pack.
        upload: u16,
        /// Where the chunks before ended: the device takes runs in their order among the chunks.
        after: u32,
        /// The first byte of the run.
        offset: u32,
        /// The end of the run: a multiple of a sector, or of the pack.
        end: u32,
    },
    /// Erase the storage, the loaded model too. Answered by [`Answer::Erased`].
    Erase,
}

/// What the messages of an upload carry to be told from those of another one: the first two bytes of the pack's hash,
/// little-endian.
pub const fn upload_tag(sha256: &Sha256Hash) -> u16 {
    u16::from_le_bytes([sha256[0], sha256[1]])
}

/// The latent of a sample. Numbers travel as little-endian bytes, so that the device need not copy them to parse them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LatentSource<'a> {
    /// The device's own generator, from this seed.
    Seed(u64),
    /// z, `z_dim` numbers, i16 Q12.
    Z(&'a [u8]),
    /// w, `w_dim` numbers, i32 Q16 (the mapping network is left out).
    W(&'a [u8]),
    /// Two of the device's own latents.
    Pair {
        /// Of the first and the second.
        seeds: [u64; 2],
        /// What is made of the two.
        join: Join,
    },
}

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// To [`Ask::Hello`].
    #[serde(borrow)]
    Hello(Hello<'a>),
    /// To [`Ask::Status`].
    Status(Status),
    /// To [`Ask::UploadBegin`]: send from `offset` on.
    Ready {
        /// The first byte that is missing: not 0 when an interrupted upload of the same pack goes on.
        offset: u32,
        /// The longest chunk.
        chunk: u32,
        /// Chunk lengths are multiples of this, but for the last.
        granule: u32,
        /// Bytes of frames that may be on their way unanswered. One frame may always.
        window: u32,
        /// Bytes that a survey has one sum for.
        unit: u32,
        /// Bytes that are erased at once: runs begin and end at multiples of it.
        sector: u32,
    },
    /// To [`Ask::UploadChunk`] and [`Ask::UploadRun`]: everything below `offset` is there.
    Ack {
        /// The next byte that is missing.
        offset: u32,
    },
    /// The pack with this hash is stored, verified and in use.
    Committed {
        /// Hash of the pack.
        sha256: Sha256Hash,
    },
    /// To [`Ask::UploadAbort`].
    Aborted,
    /// A piece of an image row, from pixel `x` on. Rows come from the top; wide rows come in pieces.
    Row {
        /// Row.
        y: u16,
        /// First pixel of the piece.
        x: u16,
        /// Pixels, three bytes each.
        rgb: &'a [u8],
    },
    /// The image is complete.
    Done {
        /// Rows sent.
        rows: u16,
        /// SHA-256 of all RGB bytes in row order.
        sha256: Sha256Hash,
        /// Time from the request to the last row on the device's clock ([`Hello::tick_hz`]), waiting for the line included.
        ticks: u64,
    },
    /// To [`Ask::Cancel`].
    Cancelled {
        /// Rows that were sent before; 0 when nothing was running.
        rows: u16,
    },
    /// The request was refused or failed; the loaded model is untouched. After [`DeviceError::HashMismatch`],
    /// [`DeviceError::BadPack`], [`DeviceError::WorkspaceTooSmall`] and [`DeviceError::Storage`] an upload is forgotten.
    Error(DeviceError),
    /// To [`Ask::UploadSurvey`].
    Survey {
        /// As it was asked.
        from: u32,
        /// CRC-32 of one unit after the other, four bytes little-endian each: as many as one reply holds.
        sums: &'a [u8],
    },
    /// To [`Ask::Erase`]: the storage is empty.
    Erased,
}

/// Who a device is and what it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION) of the device. Stays the first field for ever.
    pub protocol: u16,
    /// The pack format that it reads.
    pub pack_format: u16,
    /// The board's name, as in `--board`.
    pub board: &'a str,
    /// The firmware's version.
    pub firmware: &'a str,
    /// Bytes for packs in all.
    pub storage: u32,
    /// The longest pack that can be sent now while the loaded one stays.
    pub free: u32,
    /// Bytes of RAM for generating.
    pub workspace: u32,
    /// The longest chunk of an upload.
    pub chunk: u32,
    /// Bytes of frames that may be on their way unanswered.
    pub window: u32,
    /// The most numbers in a latent.
    pub latents: u16,
    /// Ticks per second of the clock in [`Answer::Done`]; 0: no clock.
    pub tick_hz: u32,
    /// What made it start anew without having been asked to: a panic and addresses of it, or its watchdog.
    pub restart: Option<&'a str>,
    /// The loaded model.
    #[serde(borrow)]
    pub model: Option<Model<'a>>,
}

/// A loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// SHA-256 of the whole pack.
    pub sha256: Sha256Hash,
    /// Bytes in the pack.
    pub len: u32,
    /// Width and height of its images.
    pub resolution: u16,
    /// Numbers in z.
    pub z_dim: u16,
    /// Numbers in w.
    pub w_dim: u16,
    /// The noise that it was made to be shown with.
    pub noise: NoiseKind,
}

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Frames dropped since it started: damaged, too long, or not understood.
    pub dropped: u32,
    /// Hash of the loaded pack.
    pub model: Option<Sha256Hash>,
}

/// What a device is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing.
    Idle,
    /// Waiting for the rest of a pack.
    Uploading {
        /// Bytes that are there.
        received: u32,
        /// Bytes in the pack.
        len: u32,
    },
    /// Making an image.
    Sampling,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeviceError {
    /// The frame was whole but its message is not known here: the host is newer than the firmware.
    UnknownRequest,
    /// A sample is running.
    Busy,
    /// The sample was stopped by a cancel or a hello.
    Stopped {
        /// Rows that were sent before.
        rows: u16,
    },
    /// The pack does not fit beside the loaded one.
    TooLarge {
        /// Bytes in the pack.
        len: u32,
        /// Bytes free beside the loaded pack.
        free: u32,
        /// Bytes for packs in all.
        storage: u32,
    },
    /// No upload has begun, or it was forgotten: by a reset, an abort, or the error that ended it.
    NoUpload,
    /// The chunk or run is not the next one: one before it is missing.
    WrongOffset {
        /// Where the next one starts.
        expected: u32,
    },
    /// The chunk's length is not a multiple of the storage's granule, or reaches past the end; a run's ends are no
    /// multiples of its sectors.
    WrongLength {
        /// The granule.
        granule: u32,
    },
    /// Commit came before the last chunk.
    Incomplete {
        /// Bytes stored.
        received: u32,
        /// Bytes in the pack.
        len: u32,
    },
    /// What was stored does not have the hash that was announced.
    HashMismatch,
    /// The bytes are as announced but no pack that this firmware can run.
    BadPack(PackError),
    /// The model needs more RAM than the board has for it.
    WorkspaceTooSmall {
        /// Bytes needed.
        needed: u32,
        /// Bytes there are.
        available: u32,
    },
    /// The flash refused an erase or a write.
    Storage,
    /// There is no model to sample from.
    NoModel,
    /// The latent does not have as many numbers as the model wants.
    WrongLatent {
        /// Bytes given.
        given: u32,
        /// Bytes wanted.
        wanted: u32,
    },
    /// The model refused the sample.
    NotGenerated(GenerateError),
    /// The run begins inside a sector which is not empty from there on.
    NotErased,
}
