//! A frame in the making: postcard's bytes, their checksum and the COBS encoding in one pass.

use postcard::ser_flavors::Flavor;
use postcard::{Error, Result};

use super::checksum::Checksum;

/// The largest distance from a code to the next one.
const FULL: u8 = 255;

/// Bytes that are looked at and copied at once.
const WORD: usize = 4;

/// Whether one of four bytes is zero: only a byte of zero borrows into its upper bit where that was not set.
fn has_zero(word: [u8; WORD]) -> bool {
    let word = u32::from_ne_bytes(word);
    word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080 != 0
}

/// The sink of postcard's serialisation of a message.
pub(super) struct Framed<'o> {
    out: &'o mut [u8],
    /// Bytes written, the place of the next.
    len: usize,
    /// The place of the code of the run that is in the making.
    code: usize,
    /// The distance from there to the next code, so far.
    distance: u8,
    checksum: Checksum,
}

impl<'o> Framed<'o> {
    /// Begins a frame at the start of `out`.
    pub fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 1, code: 0, distance: 1, checksum: Checksum::new() }
    }

    /// Writes bytes that the checksum is not about.
    // A copy of it for every field of every message would be most of a firmware's code.
    #[inline(never)]
    fn stuff(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut len, mut distance) = (self.len, self.distance);
        let mut bytes = bytes;
        loop {
            // Four bytes at a time while none of them is zero and the run has room for them.
            while distance < FULL - WORD as u8
                && let Some((word, rest)) = bytes.split_first_chunk::<WORD>()
                && !has_zero(*word)
            {
                let place = self.out.get_mut(len..).and_then(<[u8]>::first_chunk_mut::<WORD>);
                *place.ok_or(Error::SerializeBufferFull)? = *word;
                (len, distance, bytes) = (len + WORD, distance + WORD as u8, rest);
            }
            let Some((&byte, rest)) = bytes.split_first() else { break };
            bytes = rest;
            if byte != 0 {
                *self.out.get_mut(len).ok_or(Error::SerializeBufferFull)? = byte;
                len += 1;
                distance += 1;
            }
            if byte == 0 || distance == FULL {
                *self.out.get_mut(self.code).ok_or(Error::SerializeBufferFull)? = distance;
                self.code = len;
                len += 1;
                distance = 1;
            }
        }
        (self.len, self.distance) = (len, distance);
        Ok(())
    }
}

impl<'o> Flavor for Framed<'o> {
    type Output = &'o mut [u8];

    fn try_push(&mut self, byte: u8) -> Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<()> {
        self.checksum.update(bytes);
        self.stuff(bytes)
    }

    /// Writes the checksum, the last code and the zero behind the frame.
    fn finalize(mut self) -> Result<&'o mut [u8]> {
        let checksum = core::mem::replace(&mut self.checksum, Checksum::new()).finish();
        self.stuff(&checksum.to_le_bytes())?;
        *self.out.get_mut(self.code).ok_or(Error::SerializeBufferFull)? = self.distance;
        *self.out.get_mut(self.len).ok_or(Error::SerializeBufferFull)? = 0;
        self.out.get_mut(..self.len + 1).ok_or(Error::SerializeBufferFull)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use postcard::ser_flavors::{Cobs, Slice, crc::CrcModifier};

    use super::*;

    #[test]
    fn a_frame_is_what_postcards_own_sinks_make() {
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        for len in [0, 1, 200, 252, 253, 254, 255, 256, 508, 509, 510, 1000] {
            for zeros in [0, 2, 7, 253, 254, 255] {
                let byte = |at: usize| if zeros > 0 && at.is_multiple_of(zeros) { 0 } else { (at % 251) as u8 + 1 };
                let bytes: Vec<u8> = (0..len).map(byte).collect();
                let (mut ours, mut theirs) = ([0xAA; 1200], [0xAA; 1200]);
                let made = postcard::serialize_with_flavor(&bytes[..], Framed::new(&mut ours)).unwrap();
                let cobs = Cobs::try_new(Slice::new(&mut theirs)).unwrap();
                let expected =
                    postcard::serialize_with_flavor(&bytes[..], CrcModifier::new(cobs, crc.digest())).unwrap();
                assert_eq!(made, expected, "{len} bytes, a zero at every {zeros}");
                let room = made.len();
                assert!(postcard::serialize_with_flavor(&bytes[..], Framed::new(&mut ours[..room - 1])).is_err());
            }
        }
    }
}
