//! The checksum of frames, of surveys, and of the records in the storage.

use crc::{CRC_32_ISO_HDLC, Crc, Digest};

/// How the checksum is computed. An Armv6-M has little flash: it does without the table of a kilobyte.
#[cfg(m0_kernels)]
type Steps = crc::NoTable;
#[cfg(not(m0_kernels))]
type Steps = crc::Table<1>;

/// The checksum of a frame, and of the records in the storage.
pub(crate) static CRC: Crc<u32, Steps> = Crc::<u32, Steps>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 of zlib and Ethernet: the sum at the end of a frame, and those of a survey.
pub fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// A [`checksum`] of bytes that come piece by piece.
pub(crate) struct Checksum(Digest<'static, u32, Steps>);

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
