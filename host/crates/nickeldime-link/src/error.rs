//! What can go wrong on the line, in words that say what to do.

use std::io;

use nickeldime_core::link::{DeviceError, PROTOCOL_VERSION};
use thiserror::Error;

use super::holder::Holder;

/// Talking to a board failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such port.
    #[error("{port}: no such port. {}", found(.others))]
    NoSuchPort {
        /// What was asked for.
        port: String,
        /// The ports that there are.
        others: Vec<String>,
    },
    /// The user may not open it.
    #[error("{port}: permission denied. {}", join(.group.as_deref()))]
    Permission {
        /// The port.
        port: String,
        /// The group that may.
        group: Option<String>,
    },
    /// Another program has it open.
    #[error("{port}: {}", close(.port, .holder.as_ref()))]
    Busy {
        /// The port.
        port: String,
        /// Which program, where the system tells.
        holder: Option<Holder>,
    },
    /// Opening failed in another way.
    #[error("{port}: cannot open: {cause}")]
    Open {
        /// The port.
        port: String,
        /// Why.
        cause: serialport::Error,
    },
    /// Nothing came back.
    #[error(
        "{port}: nobody answers. Is the board running the nickeldime firmware, is this its port, or is it another \
         program's device? `nickeldime devices` shows what answers where"
    )]
    Silent {
        /// The port.
        port: String,
    },
    /// Something came back that is not of this protocol.
    #[error(
        "{port}: what answers there does not speak nickeldime's protocol ({bytes} bytes came, no frame among them; they \
         begin {said:?}): another program's device? `nickeldime devices` shows what answers where"
    )]
    NotOurs {
        /// The port.
        port: String,
        /// How much came.
        bytes: u64,
        /// How it began, fit for a terminal.
        said: String,
    },
    /// What was sent came back.
    #[error(
        "{port}: what is sent there comes back as it is: a terminal (a shell, a login prompt) or two joined wires, not a \
         board. `nickeldime devices` shows what answers where"
    )]
    Echo {
        /// The port.
        port: String,
    },
    /// The two ends have different protocol versions.
    #[error("{port}: the board speaks protocol version {device}, this program {PROTOCOL_VERSION}: {}", update(*.device))]
    WrongProtocol {
        /// The port.
        port: String,
        /// The board's version.
        device: u16,
    },
    /// The versions are the same, and yet the board's hello cannot be.
    #[error(
        "{port}: what answers there says things that no board says ({what}). Another program's device, or firmware of \
         another version of this program: build both from the same source"
    )]
    OddHello {
        /// The port.
        port: String,
        /// What it said.
        what: String,
    },
    /// The line broke. During an upload the board keeps its old model, unless only the answer to the end of it got
    /// lost.
    #[error(
        "{port}: the line broke ({cause}). Unplugged or reset? The board has its old model, or the new one if that was \
         complete; plug it in and run the command again, and it goes on where it was"
    )]
    Lost {
        /// The port.
        port: String,
        /// Why.
        cause: io::Error,
    },
    /// The board answered before and stopped.
    #[error("{port}: the board stopped answering ({during}). Reset it and run the command again")]
    Timeout {
        /// The port.
        port: String,
        /// What was going on.
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
    /// An image did not arrive whole, several times.
    #[error("{port}: the image arrived damaged {tries} times. A bad cable, or a line that is too fast?")]
    Damaged {
        /// The port.
        port: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The caller stopped the sample.
    #[error("stopped")]
    Stopped,
}

fn join(group: Option<&str>) -> String {
    match group {
        None | Some("root") => {
            "Its group is root's alone: a udev rule gives serial ports to the group dialout, or run \
                                this as root"
                .to_owned()
        }
        Some(group) => format!(
            "The port belongs to the group {group}: `sudo usermod -aG {group} $USER`, then log out and in again"
        ),
    }
}

fn close(port: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) if holder.name == "ModemManager" => format!(
            "{holder} has this port open, to see whether it is a modem. Try again in half a minute, or keep it away for \
             good: `sudo systemctl disable --now ModemManager`"
        ),
        Some(holder) => format!("{holder} has this port open. Close it and try again"),
        None => format!(
            "another program has this port open (`sudo fuser -v {port}` tells which). Close it (a serial monitor? \
             ModemManager?) and try again"
        ),
    }
}

fn found(others: &[String]) -> String {
    match others {
        [] => "No serial port was found at all: is the board plugged in, with a cable that carries data? \
               (`nickeldime emulate` makes a board without a board)"
            .to_owned(),
        others => format!("There are: {}", others.join(", ")),
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
        DeviceError::NotErased => "its flash is not as empty as it was".to_owned(),
        other => format!("{other:?}"),
    }
}
