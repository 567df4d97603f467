//! The errors between a host and a board, in words that say what to do.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use nickeldime_core::hex::Hex;
use nickeldime_core::link::{DeviceError, PROTOCOL_VERSION};
use thiserror::Error;

/// A board did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing came back.
    #[error(
        "nobody answers. Is the board running the nickeldime firmware, is this its port, or is it another \
         program's device? `nickeldime devices` shows what answers where"
    )]
    Silent,
    /// Something came back that is not of this protocol.
    #[error(
        "what answers there does not speak nickeldime's protocol ({bytes} bytes came, no frame among them; they \
         begin {said:?}): another program's device? `nickeldime devices` shows what answers where"
    )]
    NotOurs {
        /// The number of bytes that came.
        bytes: u64,
        /// The first bytes as text, fit for a terminal.
        said: String,
    },
    /// The line sent back the request itself.
    #[error(
        "what is sent there comes back as it is: a terminal (a shell, a login prompt) or two joined wires, not a \
         board. `nickeldime devices` shows what answers where"
    )]
    Echo,
    /// The two ends have different protocol versions.
    #[error("the board speaks protocol version {device}, this program {PROTOCOL_VERSION}: {}", update(*.device))]
    WrongProtocol {
        /// The board's version.
        device: u16,
    },
    /// The versions are the same, and yet the board's hello cannot be.
    #[error(
        "what answers there says things that no board says ({what}). Another program's device, or firmware of \
         another version of this program: build both from the same source"
    )]
    OddHello {
        /// The statement that no board makes.
        what: String,
    },
    /// The board answered before and stopped.
    #[error("the board stopped answering ({during}). Reset it and run the command again")]
    Timeout {
        /// The operation that was going on.
        during: &'static str,
    },
    /// The pack does not fit into the board's storage.
    #[error("{}", too_large(*.len, *.free, *.storage))]
    TooLarge {
        /// Bytes in the pack.
        len: u64,
        /// Bytes free beside the loaded pack.
        free: u64,
        /// Bytes for packs in all.
        storage: u64,
    },
    /// The board refused.
    #[error("the board refused: {}", explain(.0))]
    Refused(DeviceError),
    /// The latent is longer than what the board has room for.
    #[error("the latent has {given} numbers, the board has room for {room}: send a seed")]
    LatentTooLong {
        /// Numbers given.
        given: usize,
        /// The most that the board takes.
        room: usize,
    },
    /// An image came no further, several times.
    #[error("the image arrived damaged {tries} times. A bad cable, or a line that is too fast?")]
    Damaged {
        /// The number of tries.
        tries: u32,
    },
    /// The board's model was replaced while it made the image.
    #[error("another program has changed the board's model while it made the image: run the command again")]
    ModelChanged,
    /// The caller stopped the sample.
    #[error("stopped")]
    Stopped,
}

impl LinkError {
    /// Returns true if the error is about the answers at a port, so that the port's name belongs before it.
    pub fn is_of_a_port(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Refused(_) | Self::LatentTooLong { .. } | Self::Stopped)
    }
}

fn update(device: u16) -> &'static str {
    if device > PROTOCOL_VERSION { "update this program" } else { "update the board's firmware" }
}

fn too_large(len: u64, free: u64, storage: u64) -> String {
    if len > storage {
        format!(
            "the pack has {len} bytes, the board's storage {storage}: a pack at a higher --ratio fits ({:.1} times smaller)",
            len as f64 / storage.max(1) as f64
        )
    } else {
        format!(
            "the pack has {len} bytes; beside the loaded model {free} of the board's {storage} are free, and the loaded \
             one stays until the new one is complete. `send --replace` erases it first: the board has no model until the \
             new one has arrived"
        )
    }
}

/// A device's refusal in words.
pub fn explain(error: &DeviceError) -> String {
    match error {
        DeviceError::UnknownRequest => {
            "it does not know this request: its firmware is older than this program, update it".to_owned()
        }
        DeviceError::Busy => "it is making an image".to_owned(),
        DeviceError::Stopped { rows } => format!("the image was stopped after {rows} rows"),
        DeviceError::TooLarge { len, free, storage } => {
            too_large(u64::from(*len), u64::from(*free), u64::from(*storage))
        }
        DeviceError::NoUpload => "no upload has begun (was it reset?)".to_owned(),
        DeviceError::WrongOffset { expected } => format!("it expects byte {expected} of the pack next"),
        DeviceError::WrongLength { granule } => {
            format!("chunks come in multiples of {granule} bytes and end with the pack")
        }
        DeviceError::Incomplete { received, len } => format!("only {received} of {len} bytes of the pack have arrived"),
        DeviceError::HashMismatch => {
            "what it stored does not have the pack's SHA-256; it keeps its old model".to_owned()
        }
        DeviceError::BadPack(error) => format!("this is no pack that it can run ({error}); it keeps its old model"),
        DeviceError::WorkspaceTooSmall { needed, available } => {
            format!(
                "the model needs {needed} bytes of RAM, the board has {available}: pack a model at a higher --ratio"
            )
        }
        DeviceError::Storage => "its flash failed an erase or a write; it keeps its old model".to_owned(),
        DeviceError::NoModel => "no model is loaded: `nickeldime send PACK --port PORT` first".to_owned(),
        DeviceError::WrongLatent { given, wanted } => {
            format!("the latent has {given} bytes, the model wants {wanted} (or more than the board has room for)")
        }
        DeviceError::NotGenerated(error) => format!("the model made no image: {error}"),
        DeviceError::Untrusted { wanted } => format!(
            "it loads only packs that a key it trusts has signed, and none of them signed this one. It wants key {}: sign \
             the pack with it (`nickeldime pack --sign KEY`). The board keeps its old model",
            Hex(wanted)
        ),
        DeviceError::NotErased => "its flash is not as empty as it was".to_owned(),
        other => format!("{other:?}"),
    }
}
