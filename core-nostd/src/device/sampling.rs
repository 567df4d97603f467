//! Images on request: what is made, which pieces of it are sent, and what stops it.

use core::ops::ControlFlow;

use embedded_io::{Read, ReadReady, Write};

use super::clock::Clock;
use super::engine::{Engine, Facts};
use crate::hash::Sha256;
use crate::link::Line;
use crate::link::checksum::Checksum;
use crate::link::message::{Answer, Ask, DeviceError, LatentSource, MAX_WANTED, Phase, Sha256Hash, Status};
use crate::sample::{GenerateError, Join, Latent, Noise, Sample};

/// Bytes of a row beside its pixels, at most: direction, id, variant, y, x and length.
pub(super) const ROW_ENVELOPE: usize = 1 + 5 + 1 + 3 + 3 + 3;

/// A sample, until the next one: its latent, if the host sent one, lies in the latent buffer.
#[derive(Clone, Copy)]
pub(super) struct PendingSample {
    /// The id of its request.
    pub id: u32,
    pub latent: StoredLatent,
    pub psi: i16,
    pub noise: Noise,
    /// The hash of the model that it was asked of.
    pub model: Sha256Hash,
}

/// A latent whose numbers lie in the latent buffer: so many of them.
#[derive(Clone, Copy)]
pub(super) enum StoredLatent {
    Seed(u64),
    Z(usize),
    W(usize),
    Layers(usize),
    Pair([u64; 2], Join),
}

/// The pieces of an image that are sent.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    /// Pixels in a piece, but for the last of a row.
    pub pixels: usize,
    /// The number of the piece that the first bit stands for; nothing where all pieces are sent.
    pub first: Option<usize>,
}

/// The bits of the pieces that a host asked for.
pub(super) struct Wanted {
    bits: [u8; MAX_WANTED],
    len: usize,
}

impl Wanted {
    pub const fn new() -> Self {
        Self { bits: [0; MAX_WANTED], len: 0 }
    }

    /// Keeps `bits`; false when there are too many.
    pub fn keep(&mut self, bits: &[u8]) -> bool {
        let Some(place) = self.bits.get_mut(..bits.len()) else { return false };
        place.copy_from_slice(bits);
        self.len = bits.len();
        true
    }

    fn has(&self, number: usize) -> bool {
        let byte = self.bits.get(..self.len).and_then(|bits| bits.get(number / 8));
        byte.is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }
}

/// A request that stops a sample.
enum Interruption {
    Cancel(u32),
    Hello(u32),
}

/// A device's parts that make and send an image.
pub(super) struct Sampler<'s, 'b, S, C, E> {
    pub line: &'s mut Line<'b, S>,
    pub clock: &'s mut C,
    pub engine: &'s E,
    pub latents: &'s [i32],
    pub workspace: &'s mut [i32],
    pub wanted: &'s Wanted,
}

impl<S: Read + ReadReady + Write, C: Clock, E: Engine> Sampler<'_, '_, S, C, E> {
    /// Makes an image of `pack` and sends the pieces of it that were asked for. Returns the id of a hello that stopped it, which
    /// is still to be answered.
    pub fn sample(self, id: u32, sample: PendingSample, pieces: Pieces, pack: &[u8], facts: &Facts) -> Option<u32> {
        let Self { line, clock, engine, latents, workspace, wanted } = self;
        let given = |len| latents.get(..len).unwrap_or_default();
        let latent = match sample.latent {
            StoredLatent::Seed(seed) => Latent::Seed(seed),
            StoredLatent::Z(len) => Latent::Z(bytemuck::cast_slice(latents).get(..len).unwrap_or_default()),
            StoredLatent::W(len) => Latent::W(given(len)),
            StoredLatent::Layers(len) => Latent::Layers(given(len)),
            StoredLatent::Pair(seeds, join) => Latent::Pair { seeds, join },
        };
        let model = Some(sample.model);
        let sample = Sample { latent, psi: sample.psi, noise: sample.noise };
        let per_row = usize::from(facts.resolution).div_ceil(pieces.pixels.max(1));
        let is_wanted = |y: usize, piece: usize| match pieces.first {
            None => true,
            Some(first) => (y * per_row + piece).checked_sub(first).is_some_and(|number| wanted.has(number)),
        };
        let piece_len = (pieces.pixels * usize::from(facts.channels)).max(1);
        let started = clock.now();
        let mut hash = Sha256::new();
        let mut rows = 0u16;
        let mut stopped = None;
        let result = engine.generate(pack, &sample, workspace, &mut |y, row| {
            clock.now();
            hash.update(row);
            for (i, pixels) in row.chunks(piece_len).enumerate() {
                // Before every piece, because a row of many takes its time on a slow line; and before a row without any.
                let sent = is_wanted(y, i);
                if sent || i == 0 {
                    stopped = interruption(line, id, model);
                    if stopped.is_some() {
                        return ControlFlow::Break(());
                    }
                }
                let piece = Answer::Row { y: y as u16, x: (i * pieces.pixels) as u16, pixels };
                if sent && !line.send(id, piece) {
                    return ControlFlow::Break(());
                }
            }
            rows = rows.saturating_add(1);
            ControlFlow::Continue(())
        });
        let ticks = clock.now().saturating_sub(started);
        let answer = match result {
            Ok(()) => Answer::Done { rows, sha256: hash.finalize(), ticks },
            Err(GenerateError::Stopped) => Answer::Error(DeviceError::Stopped { rows }),
            Err(error) => Answer::Error(DeviceError::NotGenerated(error)),
        };
        line.send(id, answer);
        match stopped? {
            Interruption::Cancel(cancel) => {
                line.send(cancel, Answer::Cancelled { rows });
                None
            }
            Interruption::Hello(hello) => Some(hello),
        }
    }
}

/// Looks at what arrived while the sample `running` is made: answers what can be answered at once, refuses the rest.
fn interruption<S: Read + ReadReady + Write>(
    line: &mut Line<'_, S>,
    running: u32,
    model: Option<Sha256Hash>,
) -> Option<Interruption> {
    while line.receive() {
        let (id, answer) = match line.request() {
            Ok(request) => match request.ask {
                Ask::Cancel => return Some(Interruption::Cancel(request.id)),
                // Another host, or the same one started again: nobody waits for these rows any more.
                Ask::Hello { .. } => return Some(Interruption::Hello(request.id)),
                // The request that is being answered, heard twice.
                Ask::Sample { .. } | Ask::Pieces { .. } if request.id == running => continue,
                Ask::Status => {
                    let status = Status { phase: Phase::Sampling, dropped: line.dropped(), model };
                    (request.id, Answer::Status(status))
                }
                _ => (request.id, Answer::Error(DeviceError::Busy)),
            },
            Err(Some(id)) => (id, Answer::Error(DeviceError::UnknownRequest)),
            Err(None) => {
                line.reject();
                continue;
            }
        };
        line.send(id, answer);
    }
    None
}

/// Brings a latent from the host into the latent buffer, or finds it there.
pub(super) fn take_latent(
    model: Option<&Facts>,
    latent: &LatentSource<'_>,
    room: &mut [i32],
) -> Result<StoredLatent, DeviceError> {
    let model = model.ok_or(DeviceError::NoModel)?;
    let wanted = |numbers: usize, size: usize| u32::try_from(numbers.saturating_mul(size)).unwrap_or(u32::MAX);
    match *latent {
        LatentSource::Seed(seed) => Ok(StoredLatent::Seed(seed)),
        LatentSource::Pair { seeds, join } => Ok(StoredLatent::Pair(seeds, join)),
        LatentSource::Z(bytes) => {
            let len = usize::from(model.z_dim);
            let room: &mut [i16] = bytemuck::cast_slice_mut(room);
            if bytes.len() != 2 * len || room.len() < len {
                return Err(DeviceError::WrongLatent { given: byte_len_of(bytes), wanted: wanted(len, 2) });
            }
            for (place, number) in room.iter_mut().zip(bytes.as_chunks().0) {
                *place = i16::from_le_bytes(*number);
            }
            Ok(StoredLatent::Z(len))
        }
        LatentSource::W(bytes) => {
            let len = usize::from(model.w_dim);
            if bytes.len() != 4 * len || room.len() < len {
                return Err(DeviceError::WrongLatent { given: byte_len_of(bytes), wanted: wanted(len, 4) });
            }
            for (place, number) in room.iter_mut().zip(bytes.as_chunks().0) {
                *place = i32::from_le_bytes(*number);
            }
            Ok(StoredLatent::W(len))
        }
        LatentSource::Layers { checksum } => {
            let len = usize::from(model.num_ws) * usize::from(model.w_dim);
            let error = DeviceError::WrongLatent { given: byte_len(room.len()), wanted: wanted(len, 4) };
            let numbers = room.get(..len).ok_or(error)?;
            let mut sum = Checksum::new();
            numbers.iter().for_each(|number| sum.update(&number.to_le_bytes()));
            if sum.finish() != checksum {
                return Err(DeviceError::LatentDamaged);
            }
            Ok(StoredLatent::Layers(len))
        }
    }
}

/// Stores numbers of a latent that is longer than a request, and returns the place behind them.
pub(super) fn store_latent(first: u16, numbers: &[u8], room: &mut [i32]) -> Result<u16, DeviceError> {
    let given = byte_len(usize::from(first)).saturating_add(byte_len_of(numbers));
    let (numbers, rest) = numbers.as_chunks();
    let end = usize::from(first) + numbers.len();
    let error = DeviceError::WrongLatent { given, wanted: byte_len(room.len()) };
    let place = room.get_mut(first.into()..end).ok_or(error)?;
    let end = u16::try_from(end).map_err(|_| error)?;
    if !rest.is_empty() {
        return Err(error);
    }
    for (place, number) in place.iter_mut().zip(numbers) {
        *place = i32::from_le_bytes(*number);
    }
    Ok(end)
}

/// Bytes of so many `i32`s.
pub(super) fn byte_len(words: usize) -> u32 {
    u32::try_from(words.saturating_mul(4)).unwrap_or(u32::MAX)
}

fn byte_len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
