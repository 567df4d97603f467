//! The result of a call, as a number and as a sentence.

use core::ffi::{CStr, c_char, c_int};

use nickeldime_core::generator::GenerateError;
use nickeldime_core::pack::PackError;

/// The result of a call. `nd_message` has a sentence for each.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The call did what it was asked for.
    Ok = 0,
    /// A pointer is null or not aligned, a number is out of its range, or a model or device was never opened.
    Argument = 1,
    /// The pack does not begin at a multiple of 4 in memory.
    Misaligned = 2,
    /// There are fewer bytes than the pack has.
    Truncated = 3,
    /// There are more bytes than the pack has.
    TrailingBytes = 4,
    /// The bytes are not a pack.
    NotAPack = 5,
    /// The pack has another format version than this library reads.
    PackFormat = 6,
    /// The pack is damaged: its SHA-256 does not agree.
    Damaged = 7,
    /// The pack's header does not decode.
    Header = 8,
    /// The pack's header describes no generator that this library draws.
    Architecture = 9,
    /// An array of the pack lies outside it or is not aligned.
    Layout = 10,
    /// A scale, shift or limit of the pack is out of its range.
    Scale = 11,
    /// An accumulator of the pack could overflow.
    Overflow = 12,
    /// The pack has 4-bit weights, which this library cannot draw.
    FourBitWeights = 13,
    /// The workspace is shorter than the model needs.
    Workspace = 14,
    /// z or w has another length than the model's.
    LatentLength = 15,
    /// The sample asks for constant noise, which the pack does not have.
    NoConstNoise = 16,
    /// The row callback stopped the image, or bytes arrived on the line.
    Stopped = 17,
    /// The pack in the flash is not the one that was verified.
    PackChanged = 18,
    /// The device has no model loaded.
    NoModel = 19,
    /// The flash of a board is too short, not aligned, or not a whole number of sectors.
    Flash = 20,
    /// A buffer of a board is too short.
    Buffer = 21,
}

impl From<PackError> for Status {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Misaligned => Self::Misaligned,
            PackError::Truncated => Self::Truncated,
            PackError::TrailingBytes => Self::TrailingBytes,
            PackError::NotAPack => Self::NotAPack,
            PackError::UnsupportedVersion(_) => Self::PackFormat,
            PackError::HashMismatch => Self::Damaged,
            PackError::Header => Self::Header,
            PackError::Architecture => Self::Architecture,
            PackError::Layout => Self::Layout,
            PackError::Scale => Self::Scale,
            PackError::Overflow => Self::Overflow,
            PackError::FourBitWeights => Self::FourBitWeights,
            // More than this machine can address is more than any workspace has.
            PackError::TooLarge => Self::Workspace,
            // The core may learn to refuse more; this library then draws less.
            _ => Self::Architecture,
        }
    }
}

impl From<GenerateError> for Status {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::LatentLength => Self::LatentLength,
            GenerateError::WorkspaceTooSmall => Self::Workspace,
            GenerateError::NoConstNoise => Self::NoConstNoise,
            GenerateError::PackChanged => Self::PackChanged,
            // Stopped, and what the core may stop for later.
            _ => Self::Stopped,
        }
    }
}

/// The sentences, in the order of the numbers.
const MESSAGES: [&CStr; 22] = [
    c"done",
    c"a pointer is null or not aligned, a number is out of its range, or the model or device was never opened",
    c"the pack does not begin at a multiple of 4 in memory: align it, or copy it to where it is aligned",
    c"the pack is truncated: pass all bytes of the file",
    c"there are bytes after the pack's end: pass what nd_pack_bytes says",
    c"this is not a nickeldime pack: `nickeldime pack` makes one of a checkpoint",
    c"the pack has another format version than this library reads: make it again with the same release",
    c"the pack is damaged, its SHA-256 does not agree: copy or send it again",
    c"the pack's header does not decode: make the pack again",
    c"the pack's header describes no generator that this library draws: make the pack again",
    c"an array of the pack lies outside it or is not aligned: make the pack again",
    c"a scale, shift or limit of the pack is out of its range: make the pack again",
    c"an accumulator of the pack could overflow: make the pack again",
    c"the pack has 4-bit weights, which this library cannot draw: pack the model with 8 or 16 bits",
    c"the workspace is too small for the model: give as many bytes as nd_model_sizes says, or pack a smaller model",
    c"the latent's length is not the model's: nd_model_sizes has the lengths of z and w",
    c"the pack has no constant noise: ask for none or for random noise",
    c"the image was stopped before its last row",
    c"the stored pack has changed since it was verified: restart the board, or send the pack again",
    c"no model is loaded: send a pack with `nickeldime send`",
    c"the flash must be memory at a multiple of 4, of at least three whole sectors of ND_SECTOR_BYTES",
    c"a buffer is too short: nd_board says how long each has to be",
];

/// Returns the sentence for a status: what is wrong and what to do about it. It never returns null.
#[unsafe(no_mangle)]
pub extern "C" fn nd_message(status: c_int) -> *const c_char {
    let known = usize::try_from(status).ok().and_then(|status| MESSAGES.get(status));
    known.unwrap_or(&c"this number is no status of this version of the library").as_ptr()
}
