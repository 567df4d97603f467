//! The messages. The link encodes a variant of an enum by its position, here and in every type that a message carries: new
//! variants go to the end.

use serde::{Deserialize, Serialize, Serializer};

use crate::pack::{NoiseKind, PackError};
use crate::sample::{GenerateError, Join, Noise};

/// SHA-256 of a whole pack as it was sent, or of an image's RGB bytes in row order.
pub type Sha256Hash = [u8; 32];

/// Serialises bytes in one piece. The link's encoding is that of a sequence of numbers, made without a call for each.
fn in_one_piece<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

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
    /// Asks for the device's identity. Stops a running sample. Answered by [`Answer::Hello`] whatever the version.
    Hello {
        /// [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION) of the host.
        protocol: u16,
    },
    /// Asks for the device's state. Answered by [`Answer::Status`].
    Status,
    /// Begins the upload of a pack and forgets another upload. Answered by [`Answer::Ready`], or by [`Answer::Committed`]
    /// when the pack is loaded already.
    UploadBegin {
        /// Bytes in the pack.
        len: u32,
        /// SHA-256 of those bytes.
        sha256: Sha256Hash,
    },
    /// Bytes `offset..offset + data.len()` of the pack, inside the range that was announced last. Answered by
    /// [`Answer::Ack`].
    UploadChunk {
        /// The [`upload_tag`] of the pack, which tells a late chunk of another upload from one of this.
        upload: u16,
        /// Place of the first byte; the device takes chunks in order.
        offset: u32,
        /// At most the chunk size of [`Answer::Ready`]; a multiple of its granule but for the last.
        #[serde(serialize_with = "in_one_piece")]
        data: &'a [u8],
    },
    /// Verifies the uploaded pack and loads it. Answered by [`Answer::Committed`].
    UploadCommit {
        /// The hash given at the begin, by which the device recognises a repeated commit.
        sha256: Sha256Hash,
    },
    /// Forgets the upload. Answered by [`Answer::Aborted`].
    UploadAbort,
    /// Makes one image. Answered by [`Answer::Row`]s and one [`Answer::Done`]. The device remembers the sample until the
    /// next one, for [`Ask::Pieces`].
    Sample {
        /// The latent.
        #[serde(borrow)]
        latent: LatentSource<'a>,
        /// Truncation psi in Q14 (16384 is 1.0: no truncation).
        psi: i16,
        /// The noise of the synthesis layers.
        noise: Noise,
        /// Most pixels in one [`Answer::Row`]; 0 for as many as a reply holds. Short pieces suit a line that loses bytes.
        piece: u16,
    },
    /// Stops the running sample. Answered by [`Answer::Cancelled`], also when none is running.
    Cancel,
    /// Asks for checksums of the storage where the upload will go. Answered by [`Answer::Survey`].
    UploadSurvey {
        /// The [`upload_tag`] of the pack.
        upload: u16,
        /// The first byte of the pack that the answer is about, a multiple of the unit.
        from: u32,
    },
    /// Announces that the bytes `offset..end` come next; those between `after` and `offset` are stored already. Answered by
    /// [`Answer::Ack`].
    UploadRange {
        /// The [`upload_tag`] of the pack.
        upload: u16,
        /// Where the chunks before ended: the device takes ranges in their order among the chunks.
        after: u32,
        /// The first byte of the range.
        offset: u32,
        /// The end of the range: a multiple of a sector, or the end of the pack.
        end: u32,
    },
    /// Erases the storage, the loaded model too. Answered by [`Answer::Erased`].
    Erase,
    /// Makes the image of the last [`Ask::Sample`] again and sends only the pieces asked for, then [`Answer::Done`]. A row
    /// of `width` pixels has `width.div_ceil(piece)` pieces; pieces are numbered from 0, row by row from the top.
    Pieces {
        /// The id of the request for the sample.
        sample: u32,
        /// SHA-256 of the pack that the sample was made with.
        model: Sha256Hash,
        /// Pixels in a piece but for the last of a row, at least 1 and at most [`Hello::piece`] bytes.
        piece: u16,
        /// The number of the piece that the first bit stands for.
        first: u32,
        /// A bit for each piece, from the lowest bit of the first byte on: 1 for a piece to send. Pieces beyond the bits are
        /// not sent. At most [`MAX_WANTED`] bytes.
        wanted: &'a [u8],
    },
    /// Stores numbers for [`LatentSource::Layers`], which is longer than a request. Answered by [`Answer::Stored`].
    StoreLatent {
        /// The place of the first number.
        first: u16,
        /// Numbers, i32 Q16 little-endian.
        numbers: &'a [u8],
    },
}

/// The tag by which the messages of one upload are told from those of another: the first two bytes of the pack's hash,
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
    /// Two seeds for the device's own generator.
    Pair {
        /// The first and the second seed.
        seeds: [u64; 2],
        /// How the two ws are joined.
        join: Join,
    },
    /// W+: a w for every layer, `[num_ws][w_dim]`, from the numbers of [`Ask::StoreLatent`].
    Layers {
        /// The CRC-32 ([`checksum`](super::checksum)) of the numbers' bytes, which shows that all of them are stored.
        checksum: u32,
    },
}

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// The answer to [`Ask::Hello`].
    #[serde(borrow)]
    Hello(Hello<'a>),
    /// The answer to [`Ask::Status`].
    Status(Status),
    /// The answer to [`Ask::UploadBegin`]: the host sends from `offset` on.
    Ready {
        /// The first byte that is missing; above 0 when an interrupted upload of the same pack goes on.
        offset: u32,
        /// The longest chunk.
        chunk: u32,
        /// Chunk lengths are multiples of this, but for the last.
        granule: u32,
        /// Flow-control window: bytes of unacknowledged frames that may be in flight. One frame always may.
        window: u32,
        /// Bytes that one checksum of a survey covers.
        unit: u32,
        /// Bytes that are erased at once. Ranges begin and end at multiples of it.
        sector: u32,
    },
    /// The answer to [`Ask::UploadChunk`] and [`Ask::UploadRange`]: all bytes below `offset` are stored.
    Ack {
        /// The next byte that is missing.
        offset: u32,
    },
    /// The pack with this hash is stored, verified and in use.
    Committed {
        /// Hash of the pack.
        sha256: Sha256Hash,
    },
    /// The answer to [`Ask::UploadAbort`].
    Aborted,
    /// A piece of an image row. Rows come from the top, their pieces from the left.
    Row {
        /// The row.
        y: u16,
        /// The first pixel of the piece.
        x: u16,
        /// Pixels, [`Model::channels`] bytes each.
        #[serde(serialize_with = "in_one_piece")]
        pixels: &'a [u8],
    },
    /// The image is complete.
    Done {
        /// Rows made.
        rows: u16,
        /// SHA-256 of all pixels in row order, those that were not sent included.
        sha256: Sha256Hash,
        /// Time from the request to the last row on the device's clock ([`Hello::tick_hz`]), waiting for the line included.
        ticks: u64,
    },
    /// The answer to [`Ask::Cancel`].
    Cancelled {
        /// Rows made before; 0 when nothing was running.
        rows: u16,
    },
    /// The request was refused or failed; the loaded model is untouched. After [`DeviceError::HashMismatch`],
    /// [`DeviceError::BadPack`], [`DeviceError::WorkspaceTooSmall`], [`DeviceError::Untrusted`] and [`DeviceError::Storage`]
    /// an upload is forgotten.
    Error(DeviceError),
    /// The answer to [`Ask::UploadSurvey`].
    Survey {
        /// The first byte that the checksums are about, as in the question.
        from: u32,
        /// CRC-32 of one unit after the other, four bytes little-endian each: as many as one reply holds.
        sums: &'a [u8],
    },
    /// The answer to [`Ask::Erase`]: the storage is empty.
    Erased,
    /// The answer to [`Ask::StoreLatent`]: the numbers are stored.
    Stored {
        /// The place behind the last of them.
        end: u16,
    },
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
    /// Flow-control window: bytes of unacknowledged frames that may be in flight.
    pub window: u32,
    /// The most numbers of a latent in a [`Ask::Sample`] or [`Ask::StoreLatent`].
    pub latents: u16,
    /// The most numbers of a latent that [`Ask::StoreLatent`] has room for.
    pub stored_latents: u16,
    /// The most bytes of pixels in one [`Answer::Row`].
    pub piece: u16,
    /// Ticks per second of the clock in [`Answer::Done`]; 0: no clock.
    pub tick_hz: u32,
    /// Whether that clock is an emulator's that counts instructions: each of them takes one nanosecond.
    pub counts_instructions: bool,
    /// The reason for the last restart that nobody asked for: a panic, with addresses, or the watchdog.
    pub restart: Option<&'a str>,
    /// Ids, [`KEY_ID_LEN`] bytes each, of the keys that a pack must be signed with one of; empty for a device that loads any
    /// pack.
    pub trusted: &'a [u8],
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
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub channels: u8,
    /// Numbers in z.
    pub z_dim: u16,
    /// Numbers in w.
    pub w_dim: u16,
    /// The noise that it was made to be shown with.
    pub noise: NoiseKind,
}

/// Most bytes of bits in [`Ask::Pieces`].
pub const MAX_WANTED: usize = 256;

/// Bytes of a key's id: the first bytes of the public key.
pub const KEY_ID_LEN: usize = crate::pack::trust::ID_LEN;

/// The state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The work at hand.
    pub phase: Phase,
    /// Frames dropped since it started: damaged, too long, or not understood.
    pub dropped: u32,
    /// Hash of the loaded pack.
    pub model: Option<Sha256Hash>,
}

/// The work that a device is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// No work.
    Idle,
    /// An upload that is not committed yet.
    Uploading {
        /// Bytes that are stored.
        received: u32,
        /// Bytes in the pack.
        len: u32,
    },
    /// An image.
    Sampling,
}

/// The reasons for which a device refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeviceError {
    /// The frame was whole but this firmware does not know its message: the host is newer than the firmware.
    UnknownRequest,
    /// A sample is running.
    Busy,
    /// The sample was stopped by a cancel or a hello.
    Stopped {
        /// Rows made before.
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
    /// No upload is in progress: none has begun, or a reset, an abort or an error has ended it.
    NoUpload,
    /// The chunk or range is not the next one: one before it is missing.
    WrongOffset {
        /// Where the next one starts.
        expected: u32,
    },
    /// The chunk's length is not a multiple of the storage's granule, or reaches past the end; or the ends of a range are no
    /// multiples of its sectors.
    WrongLength {
        /// The granule.
        granule: u32,
    },
    /// The commit came before the last chunk.
    Incomplete {
        /// Bytes stored.
        received: u32,
        /// Bytes in the pack.
        len: u32,
    },
    /// The stored bytes do not have the hash that was announced.
    HashMismatch,
    /// The stored bytes are as announced, but this firmware cannot run them.
    BadPack(PackError),
    /// The model needs more RAM than the board has for it.
    WorkspaceTooSmall {
        /// Bytes needed.
        needed: u32,
        /// Bytes available.
        available: u32,
    },
    /// The flash refused an erase or a write.
    Storage,
    /// No model is loaded.
    NoModel,
    /// The latent does not have as many numbers as the model wants, or the device has no room for them.
    WrongLatent {
        /// Bytes given, or of the room.
        given: u32,
        /// Bytes that the model wants.
        wanted: u32,
    },
    /// The model refused the sample.
    NotGenerated(GenerateError),
    /// The range begins inside a sector which is not empty from there on.
    NotErased,
    /// The device does not remember that sample: another one came after it, or a reset.
    NoSample,
    /// The loaded model is not the one that the sample was made with.
    ModelChanged,
    /// The pieces are empty or longer than a reply holds, or the request has more than [`MAX_WANTED`] bytes of bits.
    WrongPiece {
        /// Most pixels in a piece.
        most: u16,
    },
    /// The stored numbers do not have the checksum of the latent: some of them got lost.
    LatentDamaged,
    /// None of the keys that the device trusts has signed the pack.
    Untrusted {
        /// The id of the first of them; [`Hello::trusted`] has all.
        wanted: [u8; KEY_ID_LEN],
    },
}
