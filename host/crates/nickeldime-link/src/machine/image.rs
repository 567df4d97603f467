//! An image: its pieces, and those that got lost again.
//!
//! A board sends an image's pieces once and keeps none. What is missing at the end is asked for by number: the board
//! makes the image again, which gives the same bytes, and sends those pieces alone. Pieces get shorter on a line that loses
//! many, in the middle of an image too.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::time::Duration;

use nickeldime_core::generator::{Latent, Sample};
use nickeldime_core::link::{
    Answer, Ask, DeviceError, LatentSource, MAX_WANTED, Packet, Phase, Reply, Sha256Hash, checksum, decode,
};
use sha2::{Digest, Sha256};

use super::pace::Losses;
use super::pixels::Pixels;
use super::{Machine, Patience, QUICK, ROW};
use crate::error::LinkError;

/// The number of requests in a row that may bring nothing, or a complete and wrong image, before the image is given up.
const FRUITLESS: u32 = 8;
/// The largest number of requests for the pieces of one image.
const ROUNDS: u32 = 500;
/// After so many losses the rest of an image is asked for in shorter pieces.
const MANY: u32 = 3;

/// An image from a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Width and height.
    pub resolution: usize,
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub channels: usize,
    /// The pixels, `channels * resolution * resolution` bytes in row order.
    pub pixels: Vec<u8>,
    /// SHA-256 of them, as the board computed it and as they arrived.
    pub sha256: Sha256Hash,
    /// Time that it took, its way over the line included.
    pub elapsed: Duration,
    /// Instructions from the request to the last row, where the board counts them
    /// ([`BoardInfo::instructions`](crate::BoardInfo::instructions)).
    pub instructions: Option<u64>,
}

/// The function that gets each row as it becomes whole.
type RowSink<'r> = &'r mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>;

/// The end of a round of pieces.
enum End {
    /// The board has sent everything that was asked for.
    Done,
    /// The board is idle, and nothing says that it ever heard the request, or that it has finished it.
    Idle,
    /// Too many pieces get lost: the rest had better come in shorter ones.
    Shorter,
    /// The board does not know the image (any more).
    Forgotten,
    /// The numbers of the latent got lost.
    LatentLost,
}

/// An image in the making.
struct Imaging<'m, 's> {
    machine: &'m Machine,
    pixels: Pixels,
    row: RowSink<'s>,
    /// Requests from this one on are about this image.
    first_id: u32,
    /// The hash of the whole image and the ticks that it took, as the board said them.
    done: Option<(Sha256Hash, u64)>,
    /// True if this round has brought anything new.
    fruitful: bool,
    stopped: bool,
}

impl Machine {
    /// Has the board make one image. `row(y, pixels)` sees each row once, when it is whole: from the top on a clean line, and
    /// those with losses later. Breaking off stops the board too.
    ///
    /// # Errors
    /// [`LinkError::LatentTooLong`] before anything is sent; [`LinkError::Refused`], [`LinkError::Stopped`],
    /// [`LinkError::Damaged`], [`LinkError::ModelChanged`], [`LinkError::Timeout`].
    pub async fn sample(&self, sample: &Sample<'_>, row: RowSink<'_>) -> Result<Image, LinkError> {
        let board = self.board().clone();
        let Some(model) = &board.model else {
            return Err(LinkError::Refused(DeviceError::NoModel));
        };
        let room = match sample.latent {
            Latent::Layers(_) => board.stored_latents,
            _ => board.latents,
        };
        let (given, room) = (numbers(&sample.latent), usize::from(room));
        if given > room {
            return Err(LinkError::LatentTooLong { given, room });
        }
        let latent_bytes: Vec<u8> = match sample.latent {
            Latent::Seed(_) | Latent::Pair { .. } => Vec::new(),
            Latent::Z(z) => z.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Latent::W(w) | Latent::Layers(w) => w.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
        let latent = match sample.latent {
            Latent::Seed(seed) => LatentSource::Seed(seed),
            Latent::Pair { seeds, join } => LatentSource::Pair { seeds, join },
            Latent::Z(_) => LatentSource::Z(&latent_bytes),
            Latent::W(_) => LatentSource::W(&latent_bytes),
            Latent::Layers(_) => {
                self.store_latent(&latent_bytes).await?;
                LatentSource::Layers { checksum: checksum(&latent_bytes) }
            }
        };
        let (resolution, channels) = (usize::from(model.resolution), usize::from(model.channels));
        let most = board.piece.max(model.channels.into()).min((resolution * channels) as u16);
        let started = self.now();
        let mut imaging = Imaging {
            machine: self,
            pixels: Pixels::new(resolution, channels),
            row,
            first_id: self.next_id(),
            done: None,
            fruitful: false,
            stopped: false,
        };
        let (mut fruitless, mut known, mut losses) = (0, None, Losses::default());
        let mut pace = self.pace.get();
        for _ in 0..ROUNDS {
            let width = (usize::from(pace.bytes(most)) / channels).clamp(1, resolution);
            let piece = width as u16;
            let id = self.next_id();
            let end = match known {
                None => {
                    known = Some(id);
                    let ask = Ask::Sample { latent, psi: sample.psi, noise: sample.noise, piece };
                    imaging.round(ask, width, None, &mut losses).await?
                }
                Some(of) => {
                    let (first, wanted) = bits(imaging.pixels.missing(width));
                    let ask =
                        Ask::Pieces { sample: of, model: model.sha256, piece, first: first as u32, wanted: &wanted };
                    imaging.round(ask, width, Some((first, &wanted)), &mut losses).await?
                }
            };
            if let Some((sha256, ticks)) = imaging.done.filter(|_| imaging.pixels.is_whole()) {
                if sha256 == Sha256Hash::from(Sha256::digest(imaging.pixels.bytes())) {
                    pace = self.pace.get();
                    pace.piece = width as u16 * channels as u16;
                    pace.learn(losses, most);
                    self.pace.set(pace);
                    let elapsed = self.now().saturating_sub(started);
                    let instructions = board.instructions(ticks);
                    let pixels = imaging.pixels.into_bytes();
                    return Ok(Image { resolution, channels, pixels, sha256, elapsed, instructions });
                }
                // Two images, or damage that no checksum saw.
                self.hello(super::HELLO).await?;
                if self.board().model.as_ref().map(|model| model.sha256) != Some(model.sha256) {
                    return Err(LinkError::ModelChanged);
                }
                imaging.pixels.forget();
                (known, imaging.done, imaging.fruitful) = (None, None, false);
                imaging.first_id = self.next_id();
            }
            fruitless = if imaging.fruitful { 0 } else { fruitless + 1 };
            if fruitless >= FRUITLESS {
                return Err(LinkError::Damaged { tries: FRUITLESS });
            }
            match end {
                End::Done | End::Idle => {}
                End::Forgotten => known = None,
                End::LatentLost => {
                    known = None;
                    self.store_latent(&latent_bytes).await?;
                }
                End::Shorter => {
                    let bytes = losses.wanted((width * channels) as u16).unwrap_or(most);
                    (pace.piece, losses) = (bytes.min(most), Losses::default());
                }
            }
        }
        Err(LinkError::Damaged { tries: ROUNDS })
    }

    /// Sends the numbers of a latent that is longer than a request.
    async fn store_latent(&self, numbers: &[u8]) -> Result<(), LinkError> {
        let longest = 4 * usize::from(self.board().latents.max(1));
        for (i, numbers) in numbers.chunks(longest).enumerate() {
            let first = u16::try_from(i * longest / 4).unwrap_or(u16::MAX);
            let end = usize::from(first) + numbers.len() / 4;
            let stored =
                self.ask(Ask::StoreLatent { first, numbers }, QUICK, "storing a latent", |answer| match answer {
                    Answer::Stored { end: stored } if usize::from(stored) == end => Some(()),
                    _ => None,
                });
            stored.await?;
        }
        Ok(())
    }
}

impl Imaging<'_, '_> {
    /// Asks for pieces of `width` pixels, all of them or those of the bits from a first one on, and takes what comes.
    async fn round(
        &mut self,
        ask: Ask<'_>,
        width: usize,
        wanted: Option<(usize, &[u8])>,
        losses: &mut Losses,
    ) -> Result<End, LinkError> {
        let id = self.machine.new_id();
        self.machine.say(id, ask).await;
        self.fruitful = false;
        let per_row = self.pixels.resolution.div_ceil(width);
        let count = per_row * self.pixels.resolution;
        let asked = |number: usize| match wanted {
            None => true,
            Some((first, bits)) => number.checked_sub(first).is_some_and(|at| bit(bits, at)),
        };
        let (mut next, mut silence) = (0, self.machine.now());
        let (mut wait, mut alive) = (self.machine.pace.get().quiet(), self.machine.now());
        let mut status_id = None;
        loop {
            let end = self.machine.now() + wait;
            let Some(payload) = self.machine.frame(end).await else {
                if self.machine.now().saturating_sub(alive) >= ROW.limit {
                    return Err(LinkError::Timeout { during: "making an image" });
                }
                // At work, or was something lost? A board at work answers between two pieces.
                let status = self.machine.new_id();
                self.machine.say(status, Ask::Status).await;
                status_id = Some(status);
                wait = (2 * wait).min(ROW.limit / 4);
                continue;
            };
            let Some(Packet::Reply(Reply { id: of, answer })) = decode(&payload) else { continue };
            let now = self.machine.now();
            match answer {
                Answer::Row { y, x, pixels } if self.is_ours(of) => {
                    let (y, x) = (usize::from(y), usize::from(x));
                    let number = y.saturating_mul(per_row) + x / width;
                    if of == id && (next..count).contains(&number) {
                        losses.sent += 1;
                        let lost = (next..number).filter(|number| asked(*number)).count() as u32;
                        (losses.sent, losses.lost) = (losses.sent + lost, losses.lost + lost);
                        next = number + 1;
                    }
                    let mut pace = self.machine.pace.get();
                    pace.heard_after(now.saturating_sub(silence));
                    self.machine.pace.set(pace);
                    (silence, alive, wait) = (now, now, pace.quiet());
                    self.take(y, x, pixels);
                    if self.stopped {
                        self.stop().await?;
                        return Err(LinkError::Stopped);
                    }
                    let shorter = losses.wanted((width * self.pixels.channels) as u16);
                    let shorter = shorter.is_some_and(|bytes| 2 * usize::from(bytes) <= width * self.pixels.channels);
                    if losses.lost >= MANY && shorter && next < count {
                        self.stop().await?;
                        return Ok(End::Shorter);
                    }
                }
                Answer::Done { sha256, ticks, .. } if self.is_ours(of) => {
                    // Of more than one image only the last counts.
                    self.fruitful |= self.done.map(|(sha256, _)| sha256) != Some(sha256);
                    self.done = Some((sha256, ticks));
                    if of == id {
                        let lost = (next..count).filter(|number| asked(*number)).count() as u32;
                        (losses.sent, losses.lost) = (losses.sent + lost, losses.lost + lost);
                        return Ok(End::Done);
                    }
                }
                Answer::Status(status) if Some(of) == status_id => {
                    if status.phase != Phase::Sampling {
                        return Ok(End::Idle);
                    }
                    alive = now;
                }
                Answer::Error(error) if of == id => match error {
                    // An earlier request about this image is still being answered.
                    DeviceError::Busy => self.stop().await?,
                    DeviceError::Stopped { .. } => return Ok(End::Done),
                    DeviceError::NoSample => return Ok(End::Forgotten),
                    DeviceError::LatentDamaged => return Ok(End::LatentLost),
                    DeviceError::ModelChanged => return Err(LinkError::ModelChanged),
                    error => return Err(LinkError::Refused(error)),
                },
                _ => {}
            }
        }
    }

    /// Returns true if a request is one about this image.
    fn is_ours(&self, id: u32) -> bool {
        id.wrapping_sub(self.first_id) < self.machine.next_id().wrapping_sub(self.first_id)
    }

    fn take(&mut self, y: usize, x: usize, pixels: &[u8]) {
        let (new, whole) = self.pixels.take(y, x, pixels);
        self.fruitful |= new;
        if let Some(whole) = whole {
            self.stopped |= (self.row)(y, whole).is_break();
        }
    }

    /// Stops what the board is doing, and takes the pieces that are still on their way.
    async fn stop(&mut self) -> Result<(), LinkError> {
        let patience = Patience { first: self.machine.pace.get().quiet(), limit: ROW.limit };
        let machine = self.machine;
        let cancelled = |answer: Answer<'_>| matches!(answer, Answer::Cancelled { .. }).then_some(());
        let late = |of, answer: Answer<'_>| {
            if let Answer::Row { y, x, pixels } = answer
                && self.is_ours(of)
            {
                self.take(y.into(), x.into(), pixels);
            }
        };
        machine.ask_beside(Ask::Cancel, patience, "cancel", cancelled, late).await
    }
}

/// The bits of an [`Ask::Pieces`] for these pieces, as many as it holds, and the piece that the first bit stands for.
fn bits(mut missing: impl Iterator<Item = usize>) -> (usize, Vec<u8>) {
    let Some(first) = missing.next() else { return (0, Vec::new()) };
    let mut bits = vec![1];
    for number in missing.map(|number| number - first).take_while(|number| number / 8 < MAX_WANTED) {
        bits.resize(bits.len().max(number / 8 + 1), 0);
        bits[number / 8] |= 1 << (number % 8);
    }
    (first, bits)
}

fn bit(bits: &[u8], at: usize) -> bool {
    bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}

/// The number of numbers that a latent sends along.
fn numbers(latent: &Latent<'_>) -> usize {
    match latent {
        Latent::Seed(_) | Latent::Pair { .. } => 0,
        Latent::Z(z) => z.len(),
        Latent::W(w) | Latent::Layers(w) => w.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_for_the_missing_pieces() {
        assert_eq!(bits(core::iter::empty()), (0, vec![]));
        assert_eq!(bits([5, 6, 14].into_iter()), (5, vec![0b11, 0b10]));
        let (first, all) = bits(0..100_000);
        assert_eq!((first, all.len()), (0, MAX_WANTED));
        assert!(bit(&all, 2047) && !bit(&all, 2048));
    }
}
