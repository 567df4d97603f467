//! Sending a pack: what is missing of it, in runs of chunks, several of them on their way at a time.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use nickeldime_core::link::{Answer, Ask, DeviceError, Packet, Reply, Sha256Hash, checksum, decode, upload_tag};
use sha2::{Digest, Sha256};

use super::{HELLO, Machine, Patience, QUICK};
use crate::error::LinkError;

/// An upload begins again so often without having come any further (the board was reset, say).
const RESTARTS: u32 = 3;
/// No answer for so long, and what is on its way is sent again. Four times the slowest answer, within these.
const QUIET: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(6);
/// An upload that comes no further for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(25);
/// Chunks get no shorter than this, however bad the line.
const LEAST_CHUNK: u32 = 64;
/// After so many answers without a loss chunks get longer again.
const LUCK: u32 = 16;
/// The most bytes of a chunk's frame beside its data, without COBS's one byte in 254.
const FRAME: usize = 1 + 5 + 1 + 3 + 5 + 5 + 4 + 2;

/// The result of an upload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// Bytes that went over the line, of the pack alone; those sent twice count twice.
    pub bytes: u64,
    /// The board had this pack already.
    pub already_loaded: bool,
    /// Bytes that the board had already, of an upload before or of another pack.
    pub kept: u64,
    /// Time that it took.
    pub elapsed: Duration,
}

/// The terms that a board states at the begin of an upload.
#[derive(Clone, Copy, Debug)]
struct Terms {
    offset: u32,
    chunk: u32,
    granule: u32,
    window: u32,
    unit: u32,
    sector: u32,
}

impl Terms {
    /// Returns true if a board can have such terms.
    fn are_sane(&self, len: u32) -> bool {
        let units = [self.chunk, self.granule, self.unit, self.sector];
        self.offset <= len && units.iter().all(|&unit| unit > 0) && self.chunk >= self.granule
    }
}

/// The ranges of a pack that have to be sent. `sums` are the checksums of the board's flash at the pack's place, one a unit.
fn plan(pack: &[u8], terms: &Terms, sums: &[u32]) -> Vec<Range<u32>> {
    let (unit, len) = (terms.unit as usize, pack.len() as u32);
    let mut runs: Vec<Range<u32>> = Vec::new();
    let mut begin = 0;
    while begin < len {
        let end = begin.saturating_add(terms.sector).min(len);
        let from = if begin < terms.offset {
            // The board is in the middle of it, and knows that the rest is erased.
            terms.offset.min(end)
        } else {
            let (first, sector) = (begin as usize / unit, &pack[begin as usize..end as usize]);
            let sums = sums.get(first..).unwrap_or_default();
            let mut units = sector.chunks(unit).zip(sums);
            let same = units.by_ref().take_while(|(unit, sum)| checksum(unit) == **sum).count();
            let there = (begin + (same * unit) as u32).min(end);
            let mut rest = sector[(there - begin) as usize..].chunks(unit).zip(sums.get(same..).unwrap_or_default());
            let empty = rest.len() > 0 && rest.all(|(unit, sum)| checksum(&vec![0xFF; unit.len()]) == *sum);
            if there == end || empty && there.is_multiple_of(terms.granule) { there } else { begin }
        };
        match runs.last_mut() {
            _ if from == end => {}
            Some(run) if run.end == from => run.end = end,
            _ => runs.push(from..end),
        }
        begin = end;
    }
    runs
}

/// A message on its way.
struct Flying {
    bytes: usize,
    /// The next byte that the board lacks once it has taken the message.
    end: u32,
    since: Duration,
}

/// The progress of an upload.
struct Course<'p> {
    pack: &'p [u8],
    upload: u16,
    terms: Terms,
    runs: Vec<Range<u32>>,
    /// The end of the run that was announced last.
    announced: u32,
    /// The next byte that the board lacks once all messages in flight have arrived.
    at: u32,
    /// The next byte that the board lacks.
    done: u32,
    /// The longest chunk for now.
    chunk: u32,
    luck: u32,
    flying: VecDeque<Flying>,
    quiet: Duration,
    slowest: Duration,
}

impl<'p> Course<'p> {
    fn new(pack: &'p [u8], upload: u16, terms: Terms, runs: Vec<Range<u32>>) -> Self {
        Self {
            pack,
            upload,
            terms,
            runs,
            announced: 0,
            at: terms.offset,
            done: terms.offset,
            chunk: terms.chunk / terms.granule * terms.granule,
            luck: 0,
            flying: VecDeque::new(),
            quiet: QUIET.start,
            slowest: Duration::ZERO,
        }
    }

    fn len(&self) -> u32 {
        self.pack.len() as u32
    }

    /// Returns the next message and the next byte that the board lacks after it, or `None` when all is in flight.
    fn next(&self) -> Option<(Ask<'p>, u32)> {
        let (upload, at, len) = (self.upload, self.at, self.len());
        if at < self.announced {
            let end = self.announced.min(at.saturating_add(self.chunk));
            return Some((Ask::UploadChunk { upload, offset: at, data: &self.pack[at as usize..end as usize] }, end));
        }
        let run = self.runs.iter().find(|run| run.end > at).cloned();
        let run = run.or((at < len).then_some(len..len))?;
        let offset = run.start.max(at);
        Some((Ask::UploadRange { upload, after: at, offset, end: run.end }, offset))
    }

    /// Returns true if the window has room for one more frame of so many bytes. On a bad line the window is smaller in
    /// the measure in which chunks are shorter: everything in flight behind a loss is sent twice.
    fn has_room(&self, bytes: usize) -> bool {
        let flying: usize = self.flying.iter().map(|message| message.bytes).sum();
        let window = u64::from(self.terms.window) * u64::from(self.chunk) / u64::from(self.terms.chunk);
        flying == 0 || (flying + bytes) as u64 <= window
    }

    fn sent(&mut self, ask: &Ask<'_>, bytes: usize, end: u32, now: Duration) {
        if let Ask::UploadRange { end, .. } = ask {
            self.announced = *end;
        }
        self.at = end;
        self.flying.push_back(Flying { bytes, end, since: now });
    }

    /// The board is at `offset`.
    fn acknowledged(&mut self, offset: u32, now: Duration) {
        while let Some(message) = self.flying.pop_front_if(|message| message.end <= offset) {
            self.slowest = self.slowest.max(now.saturating_sub(message.since));
        }
        if offset > self.at {
            // Further than was known: answers got lost.
            self.go_back(offset);
        }
        self.done = self.done.max(offset);
        self.quiet = (4 * self.slowest).clamp(QUIET.start, QUIET.end);
        self.luck += 1;
        if self.luck >= LUCK {
            self.luck = 0;
            self.chunk = (2 * self.chunk).min(self.terms.chunk / self.terms.granule * self.terms.granule);
        }
    }

    /// Something got lost: the shorter a chunk, the likelier it arrives.
    fn lost(&mut self, offset: u32) {
        self.luck = 0;
        let shorter = (self.chunk / 2).max(LEAST_CHUNK).next_multiple_of(self.terms.granule);
        self.chunk = self.chunk.min(shorter);
        self.go_back(offset);
    }

    fn go_back(&mut self, offset: u32) {
        (self.at, self.done, self.announced) = (offset, offset, 0);
        self.flying.clear();
    }
}

impl Machine {
    /// Sends a pack and makes it the board's model; `progress(done, total)` counts its bytes. The bytes are not looked
    /// at: whether they are a pack is the caller's question first and the board's in the end.
    ///
    /// # Errors
    /// [`LinkError::TooLarge`] before anything is sent; [`LinkError::Refused`]; or that the line broke. The board keeps
    /// the model that it had, but for one case: when only the answer to the last request got lost
    /// ([`LinkError::Timeout`], or that the line broke) the new one may be loaded already. The next hello tells, and
    /// uploading the same pack again then sends nothing.
    pub async fn upload(&self, pack: &[u8], progress: &mut dyn FnMut(u64, u64)) -> Result<Sent, LinkError> {
        let started = self.now();
        let total = pack.len() as u64;
        let sha256: Sha256Hash = Sha256::digest(pack).into();
        let board = self.board().clone();
        let (free, storage) = (u64::from(board.free), u64::from(board.storage));
        let mut sent = Sent { bytes: 0, already_loaded: false, kept: 0, elapsed: Duration::ZERO };
        if board.model.as_ref().is_some_and(|model| model.sha256 == sha256) {
            progress(total, total);
            return Ok(Sent { already_loaded: true, elapsed: self.now() - started, ..sent });
        }
        let Some(len) = u32::try_from(total).ok().filter(|_| total <= free) else {
            return Err(LinkError::TooLarge { len: total, free, storage });
        };
        let (mut furthest, mut restarts, mut trust) = (0, 0, true);
        loop {
            let mut reached = 0;
            let mut progress = |done: u32| {
                reached = done;
                progress(u64::from(done), total);
            };
            match self.upload_once(pack, len, sha256, trust, &mut sent, &mut progress).await {
                Ok(()) => break,
                // The board was reset in the middle, or another host aborted: it has forgotten the upload.
                Err(LinkError::Refused(DeviceError::NoUpload)) if reached > furthest || restarts < RESTARTS => {
                    restarts = if reached > furthest { 0 } else { restarts + 1 };
                    furthest = furthest.max(reached);
                }
                // What the survey took for the pack's bytes was none.
                Err(LinkError::Refused(DeviceError::HashMismatch | DeviceError::NotErased)) if trust => trust = false,
                Err(error) => return Err(error),
            }
        }
        self.hello(HELLO).await?;
        sent.elapsed = self.now() - started;
        Ok(sent)
    }

    async fn upload_once(
        &self,
        pack: &[u8],
        len: u32,
        sha256: Sha256Hash,
        trust: bool,
        sent: &mut Sent,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), LinkError> {
        let begun = self.ask(Ask::UploadBegin { len, sha256 }, QUICK, "upload begin", |answer| match answer {
            Answer::Ready { offset, chunk, granule, window, unit, sector } => {
                Some(Some(Terms { offset, chunk, granule, window, unit, sector }))
            }
            Answer::Committed { .. } => Some(None),
            _ => None,
        });
        let Some(terms) = begun.await? else {
            sent.already_loaded = true;
            return Ok(());
        };
        if !terms.are_sane(len) {
            let what = format!("an upload in these steps: {terms:?}");
            return Err(LinkError::OddHello { what });
        }
        let upload = upload_tag(&sha256);
        let runs = if trust {
            plan(pack, &terms, &self.survey(upload, &terms, len).await?)
        } else {
            core::iter::once(terms.offset..len).collect()
        };
        let missing: u64 = runs.iter().map(|run| u64::from(run.end - run.start)).sum();
        sent.kept = sent.kept.max(u64::from(len) - missing);
        self.transfer(Course::new(pack, upload, terms, runs), sent, progress).await?;
        // The board hashes the whole pack, twice: 50 kB/s is a slow core.
        let limit = Duration::from_secs(20 + u64::from(len) / 25_000);
        let patience = Patience { first: Duration::from_secs(2), limit };
        let commit = self.ask(Ask::UploadCommit { sha256 }, patience, "verifying the pack", |answer| match answer {
            Answer::Committed { .. } => Some(()),
            _ => None,
        });
        commit.await
    }

    /// The sums of all units, 0 for those that are of no interest any more.
    async fn survey(&self, upload: u16, terms: &Terms, len: u32) -> Result<Vec<u32>, LinkError> {
        let first = terms.offset / terms.unit;
        let mut sums = vec![0; first as usize];
        while (sums.len() as u64) * u64::from(terms.unit) < u64::from(len) {
            let from = sums.len() as u32 * terms.unit;
            let more = self.ask(Ask::UploadSurvey { upload, from }, QUICK, "survey", |answer| match answer {
                Answer::Survey { from: of, sums } if of == from && sums.len() >= 4 => {
                    Some(sums.as_chunks().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect::<Vec<_>>())
                }
                _ => None,
            });
            sums.extend(more.await?);
        }
        Ok(sums)
    }

    async fn transfer(
        &self,
        mut course: Course<'_>,
        sent: &mut Sent,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), LinkError> {
        let mut first = self.next_id();
        let mut moved = self.now();
        let mut end = moved + course.quiet;
        progress(course.done);
        while course.done < course.len() {
            while let Some((ask, after)) = course.next() {
                let data = if let Ask::UploadChunk { data, .. } = ask { data.len() } else { 0 };
                let bytes = FRAME + data + data / 254;
                if !course.has_room(bytes) {
                    break;
                }
                let id = self.new_id();
                self.say(id, ask).await;
                let now = self.now();
                if course.flying.is_empty() {
                    end = now + course.quiet;
                }
                course.sent(&ask, bytes, after, now);
                sent.bytes += data as u64;
            }
            let known = self.next_id().wrapping_sub(first);
            let frame = self.frame(end).await;
            let answer = match frame.as_deref().map(decode) {
                Some(Some(Packet::Reply(Reply { id, answer }))) if id.wrapping_sub(first) < known => Some(answer),
                Some(_) => continue,
                None => None,
            };
            let lost = match answer {
                Some(Answer::Ack { offset }) if offset <= course.len() => {
                    let now = self.now();
                    if offset > course.done {
                        moved = now;
                        progress(offset);
                    }
                    course.acknowledged(offset, now);
                    end = now + course.quiet;
                    continue;
                }
                Some(Answer::Error(DeviceError::WrongOffset { expected })) if expected <= course.len() => expected,
                Some(Answer::Error(error)) => return Err(LinkError::Refused(error)),
                Some(_) => continue,
                None => {
                    course.quiet = (2 * course.quiet).min(QUIET.end);
                    course.done
                }
            };
            // What was on its way is sent again; what the board says of it from now on is of no interest.
            course.lost(lost);
            first = self.next_id();
            let now = self.now();
            end = now + course.quiet;
            if now.saturating_sub(moved) > GIVE_UP {
                return Err(LinkError::Timeout { during: "upload" });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(offset: u32, unit: u32, sector: u32) -> Terms {
        Terms { offset, chunk: 4096, granule: 8, window: 9000, unit, sector }
    }

    /// The plan for a board that has `there`, in units of 64 bytes.
    fn missing(pack: &[u8], terms: &Terms, there: &[u8]) -> Vec<(u32, u32)> {
        let sums: Vec<u32> = there.chunks(64).map(checksum).collect();
        plan(pack, terms, &sums).into_iter().map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn what_is_there_is_not_sent() {
        let pack: Vec<u8> = (0..1000).map(|i| (i / 3) as u8).collect();
        let mut there = pack.clone();
        assert_eq!(missing(&pack, &terms(0, 64, 64), &there), []);
        there[70] ^= 1;
        there[130] ^= 1;
        there[999] ^= 1;
        assert_eq!(missing(&pack, &terms(0, 64, 64), &there), [(64, 192), (960, 1000)]);
        assert_eq!(missing(&pack, &terms(0, 64, 64), &[0xFF; 1000]), [(0, 1000)]);
        assert_eq!(missing(&pack, &terms(0, 64, 64), &[]), [(0, 1000)], "a board that tells nothing gets all");
    }

    #[test]
    fn an_upload_goes_on_inside_a_large_sector_when_the_rest_of_it_is_empty() {
        let pack: Vec<u8> = (0..1000).map(|i| (i / 3) as u8).collect();
        let mut there = vec![0xFF; 1000];
        there[..300].copy_from_slice(&pack[..300]);
        let large = terms(0, 64, 512);
        // 300 is inside a unit which is neither the pack's nor empty: from the sector's begin.
        assert_eq!(missing(&pack, &large, &there), [(0, 1000)]);
        there[256..300].fill(0xFF);
        assert_eq!(missing(&pack, &large, &there), [(256, 1000)]);
        there[900] = 0;
        assert_eq!(missing(&pack, &large, &there), [(256, 1000)]);
        there[500] = 0;
        assert_eq!(missing(&pack, &large, &there), [(0, 1000)]);
        // A board that was not reset knows better.
        assert_eq!(missing(&pack, &terms(304, 64, 512), &there), [(304, 1000)]);
        there[512..].copy_from_slice(&pack[512..]);
        assert_eq!(missing(&pack, &terms(304, 64, 512), &there), [(304, 512)]);
    }

    #[test]
    fn a_course_announces_its_runs_and_ends_at_the_end() {
        let pack = vec![1; 1000];
        let mut course = Course::new(&pack, 7, Terms { chunk: 100, ..terms(0, 64, 64) }, vec![64..128, 256..320]);
        let mut said = Vec::new();
        while let Some((ask, end)) = course.next() {
            said.push(match ask {
                Ask::UploadRange { after, offset, end, .. } => (after, offset, end),
                Ask::UploadChunk { offset, data, .. } => (offset, offset, offset + data.len() as u32),
                _ => panic!("{ask:?}"),
            });
            course.sent(&ask, 0, end, Duration::ZERO);
        }
        assert_eq!(said, [(0, 64, 128), (64, 64, 128), (128, 256, 320), (256, 256, 320), (320, 1000, 1000)]);
        // The second run got lost.
        course.lost(128);
        assert!(matches!(course.next(), Some((Ask::UploadRange { after: 128, offset: 256, .. }, 256))));
        assert_eq!(course.chunk, 64, "and chunks are shorter");
    }
}
