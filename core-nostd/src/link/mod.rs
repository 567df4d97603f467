//! The link between a host and a device: their messages, and how messages become bytes.
//!
//! ```text
//!   Packet (message)  --postcard-->  bytes  ++ CRC-32  --COBS-->  no zero byte inside, one zero byte after
//! ```
//!
//! Both ends use these types, so neither can drift from the other. [`message`] has the messages, [`frame`] the envelope,
//! [`mod@line`] a byte stream with both directions of frames on it. `docs/link.md` has the same as bytes.

pub(crate) mod checksum;
pub mod frame;
mod framed;
pub mod line;
pub mod message;

pub use checksum::checksum;
pub use frame::{EncodeError, FrameReader, decode, encode, payload_room};
pub use line::Line;
pub use message::{
    Answer, Ask, DeviceError, Hello, KEY_ID_LEN, LatentSource, MAX_WANTED, Model, Packet, Phase, Reply, Request,
    Sha256Hash, Status, upload_tag,
};

/// The version of the messages. It changes when an older end could misread a newer one; [`Ask::Hello`] and the
/// first fields of [`Hello`] never change, so that two ends of different versions can still say so.
pub const PROTOCOL_VERSION: u16 = 3;

#[cfg(test)]
mod tests;
