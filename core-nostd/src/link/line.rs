//! One byte stream with frames in both directions: the device's end of the link.

use embedded_io::{Read, ReadReady, Write};

use super::frame::{FrameReader, decode_request, encode_reply};
use super::message::{Answer, Ask, Reply, Request};

/// A serial line as a device sees it: requests in, replies out. Never waits for input.
pub struct Line<'b, S> {
    serial: S,
    reader: FrameReader<&'b mut [u8]>,
    out: &'b mut [u8],
    inbox: [u8; 64],
    taken: usize,
    filled: usize,
}

impl<'b, S: Read + ReadReady + Write> Line<'b, S> {
    /// A line over `serial`; `receive` holds one request, `send` one framed reply.
    pub fn new(serial: S, receive: &'b mut [u8], send: &'b mut [u8]) -> Self {
        Self { serial, reader: FrameReader::new(receive), out: send, inbox: [0; 64], taken: 0, filled: 0 }
    }

    /// Takes what has arrived, up to the end of the next whole frame; true when there is one.
    pub fn receive(&mut self) -> bool {
        while let Some(byte) = self.next_byte() {
            if self.reader.push(byte) {
                return true;
            }
        }
        false
    }

    /// The request in the frame that [`receive`](Self::receive) found. `Err(Some(id))`: a request that this version
    /// does not know; `Err(None)`: no request at all (an echo, say), not to be answered.
    pub fn request(&self) -> Result<Request<'_>, Option<u32>> {
        let payload = self.reader.payload();
        if let Some(request) = decode_request(payload) {
            return Ok(request);
        }
        // A hello of a later version: it begins as this one's, and may go on.
        if let Ok(((0, id, 0, protocol), _)) = postcard::take_from_bytes::<(u8, u32, u8, u16)>(payload) {
            return Ok(Request { id, ask: Ask::Hello { protocol } });
        }
        // Variant 0 is a request, and its id comes before anything that may be new.
        match postcard::take_from_bytes::<(u8, u32)>(payload) {
            Ok(((0, id), _)) => Err(Some(id)),
            _ => Err(None),
        }
    }

    /// Counts the frame that `receive` found as dropped.
    pub fn reject(&mut self) {
        self.reader.reject();
    }

    /// Frames dropped so far.
    pub fn dropped(&self) -> u32 {
        self.reader.dropped()
    }

    /// The longest message that can arrive.
    pub fn receive_room(&self) -> usize {
        self.reader.capacity()
    }

    /// The longest message that can be sent.
    pub fn send_room(&self) -> usize {
        super::frame::payload_room(self.out.len())
    }

    /// Sends one reply. False when the line did not take it; the host will ask again.
    pub fn send(&mut self, id: u32, answer: Answer<'_>) -> bool {
        let Ok(frame) = encode_reply(&Reply { id, answer }, self.out) else {
            return false;
        };
        let mut rest = frame;
        while !rest.is_empty() {
            match self.serial.write(rest) {
                Ok(0) | Err(_) => return false,
                Ok(n) => rest = &rest[n.min(rest.len())..],
            }
        }
        self.serial.flush().is_ok()
    }

    /// The serial port, for a board that has to look after it.
    pub fn serial(&mut self) -> &mut S {
        &mut self.serial
    }

    /// Whether bytes have arrived that nobody has looked at.
    pub fn has_bytes(&mut self) -> bool {
        self.taken < self.filled || self.serial.read_ready().unwrap_or(false)
    }

    /// The serial port and the two buffers, as [`new`](Self::new) took them.
    pub fn into_parts(self) -> (S, &'b mut [u8], &'b mut [u8]) {
        (self.serial, self.reader.into_buffer(), self.out)
    }

    fn next_byte(&mut self) -> Option<u8> {
        if self.taken == self.filled {
            // An error here is a damaged byte (overrun, parity): the frame's CRC finds it.
            if !self.serial.read_ready().unwrap_or(false) {
                return None;
            }
            self.taken = 0;
            self.filled = self.serial.read(&mut self.inbox).unwrap_or(0).min(self.inbox.len());
        }
        let byte = *self.inbox[..self.filled].get(self.taken)?;
        self.taken += 1;
        Some(byte)
    }
}
