//! The checksum of frames, of surveys, and of the records in the storage.

/// The polynomial of CRC-32 (zlib, Ethernet), lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// What eight more bits do to a remainder, for each value of its lowest byte.
static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ (POLYNOMIAL & (remainder & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
}

/// A remainder after eight more bits, all of them 0.
fn eight_bits(remainder: u32) -> u32 {
    (remainder >> 8) ^ TABLE[(remainder & 0xFF) as usize]
}

/// The CRC-32 of zlib and Ethernet: the sum at the end of a frame, and those of a survey.
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut checksum = Checksum::new();
    checksum.update(bytes);
    checksum.finish()
}

/// A [`checksum`] of bytes that come piece by piece.
pub(crate) struct Checksum(u32);

impl Checksum {
    /// The checksum of no bytes yet.
    pub fn new() -> Self {
        Self(u32::MAX)
    }

    /// Adds bytes, four at a time: every byte of every image passes here.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut remainder = self.0;
        for &word in words {
            remainder ^= u32::from_le_bytes(word);
            remainder = eight_bits(eight_bits(eight_bits(eight_bits(remainder))));
        }
        for &byte in rest {
            remainder = eight_bits(remainder ^ u32::from(byte));
        }
        self.0 = remainder;
    }

    /// The checksum of all bytes so far.
    pub fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_crc_crate() {
        let theirs = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let bytes: std::vec::Vec<u8> = (0..300u32).map(|at| (at * at / 3) as u8).collect();
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
        for len in 0..bytes.len() {
            let mut ours = Checksum::new();
            ours.update(&bytes[..len / 3]);
            ours.update(&bytes[len / 3..len]);
            assert_eq!(ours.finish(), theirs.checksum(&bytes[..len]), "{len} bytes");
        }
    }
}
