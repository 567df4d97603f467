//! Frames: postcard bytes, their CRC-32 (the one of zlib and Ethernet, little-endian), COBS around both, a zero byte after.
//!
//! A zero byte never occurs inside a frame, so a reader that has lost its place finds it again at the next one.

use cobs::{DecodeResult, DecoderState};
use serde::Serialize;

use super::checksum::checksum;
use super::framed::Framed;
use super::message::{Packet, Reply, Request};

const CRC_LEN: usize = 4;

/// The first byte of a message: the variant of [`Packet`].
const REQUEST: u8 = 0;
const REPLY: u8 = 1;

/// A message did not fit into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError;

/// The longest message that a frame of `frame_len` bytes can carry: COBS costs a byte in 254 and one, the end another.
pub const fn payload_room(frame_len: usize) -> usize {
    frame_len.saturating_sub(2 + CRC_LEN + frame_len.div_ceil(255))
}

/// Writes `packet` as one frame, its ending zero included, to the start of `out`.
///
/// # Errors
/// [`EncodeError`] when `out` is too short.
pub fn encode<'o>(packet: &Packet<'_>, out: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
    frame(packet, out)
}

/// [`encode`] for a reply alone, so that a device is without the code that writes requests.
pub(super) fn encode_reply<'o>(reply: &Reply<'_>, out: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
    frame(&(REPLY, reply), out)
}

/// The request in a frame's message, all of the message; for a device, which is then without the code that reads replies.
pub(super) fn decode_request(message: &[u8]) -> Option<Request<'_>> {
    match postcard::take_from_bytes(message.strip_prefix(&[REQUEST])?) {
        Ok((request, [])) => Some(request),
        _ => None,
    }
}

fn frame<'o>(message: &impl Serialize, out: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
    match postcard::serialize_with_flavor(message, Framed::new(out)) {
        Ok(frame) => Ok(frame),
        Err(_) => Err(EncodeError),
    }
}

/// The packet in a frame's message: all of the message, with nothing after it.
pub fn decode(message: &[u8]) -> Option<Packet<'_>> {
    match postcard::take_from_bytes(message) {
        Ok((packet, [])) => Some(packet),
        _ => None,
    }
}

/// Finds frames in a stream of bytes, one byte at a time, in a buffer that never grows.
///
/// What is damaged, too long, or not a frame at all is dropped and counted; reading goes on at the next zero byte.
pub struct FrameReader<B> {
    buf: B,
    len: usize,
    too_long: bool,
    complete: bool,
    state: DecoderState,
    dropped: u32,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> FrameReader<B> {
    /// A reader of messages up to `buf.len() - 4` bytes.
    pub fn new(buf: B) -> Self {
        Self { buf, len: 0, too_long: false, complete: false, state: DecoderState::Idle, dropped: 0 }
    }

    /// The longest message that it can read.
    pub fn capacity(&self) -> usize {
        self.buf.as_ref().len().saturating_sub(CRC_LEN)
    }

    /// Frames dropped so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Takes one byte; true when it ended a whole, undamaged frame, whose message is then in [`payload`](Self::payload)
    /// until the next byte.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.complete {
            self.restart();
        }
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => {}
            Ok(DecodeResult::DataContinue(decoded)) => match self.buf.as_mut().get_mut(self.len) {
                Some(place) => {
                    *place = decoded;
                    self.len += 1;
                }
                None => self.too_long = true,
            },
            Ok(DecodeResult::DataComplete) => {
                if self.is_intact() {
                    self.len -= CRC_LEN;
                    self.complete = true;
                } else {
                    self.drop_frame();
                }
            }
            Err(_) => self.drop_frame(),
        }
        self.complete
    }

    /// The message of the frame that the last byte ended; empty when it ended none.
    pub fn payload(&self) -> &[u8] {
        if self.complete { &self.buf.as_ref()[..self.len] } else { &[] }
    }

    /// Counts the last frame as dropped after all: its message could not be understood.
    pub fn reject(&mut self) {
        self.drop_frame();
    }

    /// The buffer, for another use.
    pub fn into_buffer(self) -> B {
        self.buf
    }

    fn is_intact(&self) -> bool {
        if self.too_long || self.len < CRC_LEN {
            return false;
        }
        let (payload, sum) = self.buf.as_ref()[..self.len].split_at(self.len - CRC_LEN);
        checksum(payload).to_le_bytes() == sum
    }

    fn drop_frame(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
        self.restart();
    }

    fn restart(&mut self) {
        self.len = 0;
        self.too_long = false;
        self.complete = false;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::super::message::{Ask, Request};
    use super::*;
    use std::vec::Vec;

    /// One of so many cases: Miri takes some thousand times as long.
    const FEWER: usize = if cfg!(miri) { 101 } else { 1 };

    fn chunk(id: u32, data: &[u8]) -> Vec<u8> {
        let packet = Packet::Request(Request { id, ask: Ask::UploadChunk { upload: 7, offset: 4096, data } });
        let mut buf = [0; 1200];
        encode(&packet, &mut buf).expect("fits").to_vec()
    }

    fn read_all(reader: &mut FrameReader<[u8; 1100]>, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for &byte in bytes {
            if reader.push(byte) {
                found.push(reader.payload().to_vec());
            }
        }
        found
    }

    fn data() -> Vec<u8> {
        // Zeros, and a run longer than a COBS block, so that every kind of code byte occurs.
        let mut data = std::vec![0, 0, 7, 0, 255];
        data.extend((0..700u32).map(|i| (i % 255 + 1) as u8));
        data.push(0);
        data
    }

    #[test]
    fn a_frame_survives_the_round_trip() {
        let frame = chunk(3, &data());
        assert_eq!(frame.iter().filter(|&&b| b == 0).count(), 1, "one zero, at the end");
        let mut reader = FrameReader::new([0; 1100]);
        let found = read_all(&mut reader, &frame);
        let packet: Packet = postcard::from_bytes(&found[0]).expect("decodes");
        let ask = Ask::UploadChunk { upload: 7, offset: 4096, data: &data() };
        assert_eq!(packet, Packet::Request(Request { id: 3, ask }));
        assert_eq!(reader.dropped(), 0);
    }

    #[test]
    fn payload_room_is_never_too_much() {
        for frame_len in (0..1200).step_by(FEWER) {
            let room = payload_room(frame_len);
            let mut out = std::vec![0; frame_len];
            // A worst case for COBS: no zero anywhere. The envelope of the chunk is measured, not assumed.
            for len in room.saturating_sub(24)..room {
                let data = std::vec![1u8; len];
                let packet =
                    Packet::Request(Request { id: 1, ask: Ask::UploadChunk { upload: 1, offset: 1, data: &data } });
                if postcard::experimental::serialized_size(&packet).expect("has a size") == room {
                    assert!(encode(&packet, &mut out).is_ok(), "{frame_len} bytes of frame, {room} of message");
                }
            }
        }
    }

    #[test]
    fn garbage_before_a_frame_costs_only_what_it_touches() {
        let frame = chunk(1, &data());
        let mut seed = 1u32;
        for len in (0..300).step_by(FEWER) {
            let mut bytes: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            bytes.push(0);
            bytes.extend_from_slice(&frame);
            let mut reader = FrameReader::new([0; 1100]);
            assert_eq!(read_all(&mut reader, &bytes).len(), 1, "{len} bytes of garbage");
        }
    }

    #[test]
    fn every_single_byte_corruption_is_detected() {
        let frame = chunk(9, &data()[..100]);
        let mut reader = FrameReader::new([0; 1100]);
        for place in (0..frame.len()).step_by(FEWER) {
            for flip in 1..=255u8 {
                let mut bytes = frame.clone();
                bytes[place] ^= flip;
                bytes.push(0);
                assert!(read_all(&mut reader, &bytes).is_empty(), "byte {place} ^ {flip} went unnoticed");
            }
        }
        assert!(FEWER * reader.dropped() as usize >= frame.len() * 255 - 255, "and counted");
    }

    #[test]
    fn a_frame_cut_at_any_byte_does_not_harm_the_next() {
        let frame = chunk(1, &data());
        for cut in (0..frame.len()).step_by(FEWER) {
            let mut bytes = frame[..cut].to_vec();
            bytes.push(0);
            bytes.extend_from_slice(&frame);
            let mut reader = FrameReader::new([0; 1100]);
            let found = read_all(&mut reader, &bytes);
            // Cut before the ending zero only, the first is whole.
            assert_eq!(found.len(), if cut == frame.len() - 1 { 2 } else { 1 }, "cut at {cut}");
        }
    }

    #[test]
    fn an_over_long_frame_is_dropped_and_counted() {
        let long = chunk(1, &data());
        let short = chunk(2, &[1, 2, 3]);
        let mut reader = FrameReader::new([0; 64]);
        let mut found = 0;
        for &byte in long.iter().chain(&short) {
            if reader.push(byte) {
                found += 1;
                assert!(matches!(postcard::from_bytes(reader.payload()), Ok(Packet::Request(Request { id: 2, .. }))));
            }
        }
        assert_eq!((found, reader.dropped()), (1, 1));
    }

    #[test]
    fn any_bytes_at_all_never_panic() {
        let mut seed = 7u32;
        let mut reader = FrameReader::new([0; 16]);
        for _ in (0..1_000_000).step_by(FEWER) {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if reader.push((seed >> 24) as u8 & 0x1F) {
                let _ = postcard::from_bytes::<Packet>(reader.payload());
            }
        }
    }
}
