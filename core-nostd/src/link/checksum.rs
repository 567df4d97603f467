//! The checksum of frames, of surveys, and of the records in the storage.

use crc::{CRC_32_ISO_HDLC, Crc, Digest};

/// The checksum of a frame, and of the records in the storage.
pub(crate) static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 of zlib and Ethernet: the sum at the end of a frame, and those of a survey.
pub fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// A [`checksum`] of bytes that come piece by piece.
pub(crate) struct Checksum(Digest<'static, u32>);

impl Checksum {
    /// The checksum of no bytes yet.
    pub fn new() -> Self {
        Self(CRC.digest())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}
