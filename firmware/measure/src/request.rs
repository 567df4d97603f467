//! Measures a request to a device: the whole state machine, its storage and its frames, over a line in memory.

use core::convert::Infallible;
use core::fmt::Write as _;
use core::ops::ControlFlow;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use nickeldime_core::device::{Buffers, Device, Identity, Integers, NoClock};
use nickeldime_core::hash::Sha256;
use nickeldime_core::link::frame::{FrameReader, decode, encode};
use nickeldime_core::link::message::{Answer, Ask, LatentSource, Packet, Request};
use nickeldime_core::pack::Trust;
use nickeldime_core::sample::Noise;
use nickeldime_core::storage::RamFlash;

use crate::machine::{self, Carve, Out, now, since};

const RECEIVE: usize = 4096 + 64;
const SEND: usize = 1024;
const LATENTS: usize = 512;
/// Bytes kept from the end of an answer, which is more than the last frame has.
const TAIL: usize = 256;

/// Prints the ticks of a device's start with the pack of a flash of `len` bytes in it, of a sample request from its first
/// byte to the last byte of the answer, of the same to the first byte of the first row, and of hashing the image's rows;
/// then the image's rows and the bytes of the answer. The request is the second one that the device gets.
pub fn cost(len: u32) -> Option<()> {
    // SAFETY: this is the only call in this job.
    let flash: RamFlash<&mut [u8]> = RamFlash::new(unsafe { machine::flash(len) }?);
    // SAFETY: this is the only call in this job.
    let mut carve = Carve::new(unsafe { machine::workspace() });
    let receive = bytemuck::cast_slice_mut(carve.words(RECEIVE / 4)?);
    let send = bytemuck::cast_slice_mut(carve.words(SEND / 4)?);
    let latents = carve.words(LATENTS)?;
    let buffers = Buffers { receive, send, latents, workspace: carve.rest(), window: 0 };
    let identity = Identity { board: "measure", firmware: "", restart: None, trust: Trust::ANYBODY };
    let started = now();
    let mut device = Device::new(identity, Line::default(), flash, NoClock, Integers, buffers);
    let start = since(started);
    ask(&mut device, 1)?;
    let started = now();
    let rows = ask(&mut device, 2)?;
    let all = since(started);
    let line = device.serial();
    let (first, bytes) = (line.first?.wrapping_sub(started), line.sent);
    let hashing = hash(rows)?;
    writeln!(Out, "{start} {all} {first} {hashing} {rows} {bytes}").ok()
}

/// Sends one request for the image of seed 0 and lets the device answer it. Returns the number of rows that the answer
/// states.
fn ask(device: &mut Device<'_, Line, RamFlash<&'static mut [u8]>>, id: u32) -> Option<u16> {
    let ask = Ask::Sample { latent: LatentSource::Seed(0), psi: 1 << 14, noise: Noise::Random(0), piece: 0 };
    let mut request = [0; 64];
    let frame = encode(&Packet::Request(Request { id, ask }), &mut request).ok()?;
    device.serial().hear(frame)?;
    device.poll();
    let mut reader = FrameReader::new([0; TAIL]);
    let mut done = None;
    for &byte in device.serial().tail() {
        if reader.push(byte)
            && let Some(Packet::Reply(reply)) = decode(reader.payload())
            && let Answer::Done { rows, .. } = reply.answer
            && reply.id == id
        {
            done = Some(rows);
        }
    }
    done
}

/// Ticks of the hash over as many rows as the image has, computed as the device does.
fn hash(rows: u16) -> Option<u32> {
    let row = [0u8; 3 * 1024];
    let row = row.get(..3 * usize::from(rows))?;
    let started = now();
    let mut hash = Sha256::new();
    let _ = (0..rows).try_for_each(|_| {
        hash.update(row);
        ControlFlow::<()>::Continue(())
    });
    core::hint::black_box(hash.finalize());
    Some(since(started))
}

/// A line in memory, with a request to read and the end of what was written.
struct Line {
    request: [u8; 64],
    len: usize,
    at: usize,
    tail: [u8; TAIL],
    sent: usize,
    first: Option<u32>,
}

impl Default for Line {
    fn default() -> Self {
        Self { request: [0; 64], len: 0, at: 0, tail: [0; TAIL], sent: 0, first: None }
    }
}

impl Line {
    fn hear(&mut self, frame: &[u8]) -> Option<()> {
        *self = Self::default();
        self.request.get_mut(..frame.len())?.copy_from_slice(frame);
        self.len = frame.len();
        Some(())
    }

    /// The last bytes that were written.
    fn tail(&self) -> &[u8] {
        &self.tail
    }
}

impl ErrorType for Line {
    type Error = Infallible;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.at < self.len)
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let left = self.request.get(self.at..self.len).unwrap_or_default();
        let count = left.len().min(buf.len());
        buf.iter_mut().zip(left).for_each(|(to, &byte)| *to = byte);
        self.at += count;
        Ok(count)
    }
}

impl Write for Line {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        if self.first.is_none() {
            self.first = Some(now());
        }
        self.sent += buf.len();
        let kept = buf.get(buf.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.tail.copy_within(kept.len().., 0);
        let place = TAIL - kept.len();
        self.tail.get_mut(place..).unwrap_or_default().copy_from_slice(kept);
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
