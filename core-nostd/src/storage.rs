//! Stores packs in NOR flash, which is erased in sectors, written in words and read in place.
//!
//! ```text
//!   sector 0   sector 1   sector 2 ...                                    end
//!   [record ]  [record ]  [ pack, from the low end ]   [ pack, to the high end ]
//! ```
//!
//! A record says where a pack lies and what its hash is. The newest record whose pack has that hash is the loaded one. A
//! new pack is written where the loaded one is not, and its record is written last, into the other record sector. So
//! whatever happens before that, at whatever byte, the old pack is still there and still loaded.
//!
//! The place of a new pack follows from the loaded one and from its length. So after a reset it goes to the same place,
//! and the bytes already there count: a host compares checksums of the storage with those of its pack
//! ([`Storage::survey`]) and sends only the rest, in ranges ([`Storage::announce`]). An upload keeps no state besides
//! the bytes themselves.

use crate::link::checksum::checksum;
use crate::link::{Sha256Hash, upload_tag};
use crate::pack::{Hashed, Trust};
use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

mod failing;
mod ram;

pub use failing::{FailingFlash, PowerLost};
pub use ram::RamFlash;

/// NOR flash that can be read like memory.
pub trait MappedFlash: NorFlash {
    /// The whole flash; offset 0 is byte 0. The slice starts at a multiple of 4 in memory.
    fn bytes(&self) -> &[u8];
}

/// Why the storage refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// The pack is longer than every gap beside the loaded one.
    TooLarge,
    /// No upload has begun.
    NotStaged,
    /// The bytes do not continue the upload at this offset.
    WrongOffset {
        /// The offset at which the upload continues.
        expected: u32,
    },
    /// A length is not a whole number of words before the pack's end, or goes past the end, or a range is not whole
    /// sectors.
    WrongLength,
    /// A range begins inside a sector whose remaining bytes are not erased.
    NotErased,
    /// The upload is not complete.
    Incomplete {
        /// Bytes received.
        received: u32,
        /// Bytes announced.
        len: u32,
    },
    /// The received bytes do not have the announced hash.
    HashMismatch,
    /// No trusted key has signed the pack.
    Untrusted,
    /// The flash failed to erase or write.
    Flash,
}

/// The longest word, in bytes, that a flash may require for a write.
const MAX_WORD: usize = 256;
/// Upper bound of a record's length in bytes: four numbers of up to 5 bytes, the hash, the CRC, and padding to a small
/// word.
const MOST_RECORD: usize = 64;
/// The first field of a record: "NDME".
const MAGIC: u32 = 0x454D_444E;
/// Number of record sectors, which lie before the packs.
const RECORDS: u32 = 2;
/// Upper bound of a survey's unit in bytes, for flash with larger sectors.
const MOST_UNIT: u32 = 4096;
/// Erasing ahead stops at the next multiple of this many bytes: flash chips erase a block of that size faster than its
/// sectors.
const BLOCK: u32 = 64 << 10;

/// The contents of a record sector, encoded with postcard and followed by a CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    magic: u32,
    sequence: u32,
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
}

/// A pack being uploaded. All numbers except `offset` count from the pack's first byte.
#[derive(Clone, Copy, Debug)]
struct Staged {
    /// Where in the flash the pack begins.
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
    /// Everything below this offset is stored, or lies outside the announced ranges.
    next: u32,
    /// End of the announced range.
    range_end: u32,
    /// Everything from `next` up to this offset is erased. A multiple of a sector.
    erased: u32,
    /// True while erasing ahead has not failed.
    ahead: bool,
    /// `None` until the pack was read back and had the announced hash. Then true if the pack's own hash agrees too.
    intact: Option<bool>,
}

/// The loaded pack.
#[derive(Clone, Copy, Debug)]
struct Active {
    /// The sector of the pack's record.
    sector: u32,
    record: Record,
    /// True if the pack's own hash agrees.
    intact: bool,
}

/// Holds the loaded pack, and at most one that is being uploaded.
pub struct Storage<F> {
    flash: F,
    active: Option<Active>,
    staged: Option<Staged>,
    trust: Trust,
}

impl<F: MappedFlash> Storage<F> {
    /// Bytes that are erased at once. Packs begin at multiples of it.
    pub const SECTOR: u32 = F::ERASE_SIZE as u32;
    /// Every write except the last has a multiple of this length in bytes. A record fits into a sector, and packs begin
    /// at multiples of 4.
    pub const WORD: u32 = {
        assert!(F::WRITE_SIZE <= MAX_WORD && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE));
        assert!(F::ERASE_SIZE >= MOST_RECORD && F::ERASE_SIZE.is_multiple_of(4));
        F::WRITE_SIZE as u32
    };

    /// Bytes covered by one checksum of a survey: a sector, or less where sectors are large.
    pub const UNIT: u32 = {
        let large = F::ERASE_SIZE as u32 > MOST_UNIT && F::ERASE_SIZE.is_multiple_of(MOST_UNIT as usize);
        if large { MOST_UNIT } else { F::ERASE_SIZE as u32 }
    };

    /// Finds the loaded pack and checks its bytes against their hash.
    pub fn mount(flash: F) -> Self {
        Self::mount_trusting(flash, Trust::ANYBODY)
    }

    /// Like [`mount`](Self::mount), and passes over packs that `trust` does not accept: the newest of the others is loaded.
    pub fn mount_trusting(flash: F, trust: Trust) -> Self {
        // This refuses to compile for a flash with unsuitable sizes.
        let _ = Self::WORD;
        let mut storage = Self { flash, active: None, staged: None, trust };
        storage.find();
        storage
    }

    fn find(&mut self) {
        let mut found = [0, 1].map(|sector| self.read_record(sector).map(|record| (sector, record)));
        found.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.map(|(_, record)| record.sequence)));
        self.active = found.into_iter().flatten().find_map(|(sector, record)| {
            let hashed = Hashed::new(self.slice(record.offset, record.len)?);
            let loads = hashed.sha256() == record.sha256 && self.trust.accepts(&hashed);
            loads.then(|| Active { sector, record, intact: hashed.is_intact() })
        });
    }

    /// Bytes available for packs in total.
    pub fn capacity(&self) -> u32 {
        self.end().saturating_sub(RECORDS * Self::SECTOR)
    }

    /// Length in bytes of the longest pack that fits beside the loaded one.
    pub fn free(&self) -> u32 {
        let (low, high) = self.gaps();
        (low.1 - low.0).max(high.1 - high.0)
    }

    /// The bytes of the loaded pack.
    pub fn active(&self) -> Option<&[u8]> {
        self.active.and_then(|Active { record, .. }| self.slice(record.offset, record.len))
    }

    /// The loaded pack with the hashes that it had when it was found or committed.
    pub fn active_hashed(&self) -> Option<Hashed<'_>> {
        let Active { record, intact, .. } = self.active?;
        Some(Hashed::known(self.slice(record.offset, record.len)?, record.sha256, intact))
    }

    /// The SHA-256 of the loaded pack.
    pub fn active_sha256(&self) -> Option<Sha256Hash> {
        self.active.map(|active| active.record.sha256)
    }

    /// Bytes received and bytes announced of the current upload; `None` without one.
    pub fn progress(&self) -> Option<(u32, u32)> {
        self.staged.map(|staged| (staged.next, staged.len))
    }

    /// Begins an upload and returns the offset from which bytes are expected; not 0 if an upload of the same pack was in
    /// progress.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`].
    pub fn begin(&mut self, len: u32, sha256: Sha256Hash) -> Result<u32, StorageError> {
        if let Some(staged) = self.staged
            && (staged.len, staged.sha256) == (len, sha256)
        {
            return Ok(staged.next);
        }
        let room = len.checked_next_multiple_of(Self::SECTOR).ok_or(StorageError::TooLarge)?;
        let (low, high) = self.gaps();
        // Packs go to the two ends, so that the loaded pack and the new one never leave two small gaps.
        let offset = if room <= low.1 - low.0 {
            low.0
        } else if room <= high.1 - high.0 {
            high.1 - room
        } else {
            return Err(StorageError::TooLarge);
        };
        self.staged = Some(Staged { offset, len, sha256, next: 0, range_end: 0, erased: 0, ahead: true, intact: None });
        Ok(0)
    }

    /// Writes checksums ([`checksum()`]) of the flash where the uploaded pack goes: one for every unit ([`Self::UNIT`])
    /// from byte `from` of the pack on, until `sums` is full. The last unit ends with the pack. Returns the number of
    /// checksums.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`]; [`StorageError::WrongLength`] if no unit begins at `from`.
    pub fn survey(&self, from: u32, sums: &mut [u32]) -> Result<usize, StorageError> {
        let staged = self.staged.ok_or(StorageError::NotStaged)?;
        if !from.is_multiple_of(Self::UNIT) || from > staged.len {
            return Err(StorageError::WrongLength);
        }
        let there = self.slice(staged.offset, staged.len).ok_or(StorageError::Flash)?;
        let units = there[from as usize..].chunks(Self::UNIT as usize);
        let count = units.len().min(sums.len());
        sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum = checksum(unit));
        Ok(count)
    }

    /// Announces that the bytes `offset..end` come next, after those below `after`; the bytes between the two stay as
    /// they are. Returns the offset at which the upload continues. Announcing the same range twice is harmless.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::WrongOffset`], [`StorageError::WrongLength`];
    /// [`StorageError::NotErased`] for a range that begins inside a sector whose remaining bytes are not erased.
    pub fn announce(&mut self, after: u32, offset: u32, end: u32) -> Result<u32, StorageError> {
        let mut staged = self.staged.ok_or(StorageError::NotStaged)?;
        if after < staged.next {
            return Ok(staged.next);
        }
        if after > staged.next {
            return Err(StorageError::WrongOffset { expected: staged.next });
        }
        let whole = |at: u32, unit: u32| at.is_multiple_of(unit) || at == staged.len;
        let ordered = after <= offset && offset <= end && end <= staged.len;
        if !ordered || !whole(end, Self::SECTOR) || !whole(offset, Self::WORD) {
            return Err(StorageError::WrongLength);
        }
        if offset > after {
            staged.erased = offset.next_multiple_of(Self::SECTOR);
            let rest = self.slice(staged.offset + offset, staged.erased - offset).ok_or(StorageError::Flash)?;
            if offset != end && !is_erased(rest) {
                return Err(StorageError::NotErased);
            }
        }
        (staged.next, staged.range_end, staged.intact) = (offset, end, None);
        self.staged = Some(staged);
        Ok(offset)
    }

    /// Stores the next bytes of a range and erases sectors as it reaches them; a sector that already holds these bytes
    /// is left as it is. Bytes that were stored before are skipped. Returns the offset at which the upload continues.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::WrongOffset`] (also outside a range), [`StorageError::WrongLength`].
    /// [`StorageError::Flash`] ends the upload.
    pub fn write(&mut self, offset: u32, data: &[u8]) -> Result<u32, StorageError> {
        let mut staged = self.staged.ok_or(StorageError::NotStaged)?;
        let len = u32::try_from(data.len()).map_err(|_| StorageError::WrongLength)?;
        let end = offset.checked_add(len).filter(|&end| end <= staged.len).ok_or(StorageError::WrongLength)?;
        if end <= staged.next {
            return Ok(staged.next);
        }
        if offset != staged.next || end > staged.range_end {
            return Err(StorageError::WrongOffset { expected: staged.next });
        }
        if end != staged.len && !len.is_multiple_of(Self::WORD) {
            return Err(StorageError::WrongLength);
        }
        // Nothing counts as staged until all of it is stored.
        self.staged = None;
        let mut rest = data;
        while !rest.is_empty() {
            let sector = (staged.next + 1).next_multiple_of(Self::SECTOR);
            let (piece, later) = rest.split_at(rest.len().min((sector - staged.next) as usize));
            let at = staged.offset + staged.next;
            let piece_end = staged.next + piece.len() as u32;
            let untouched = staged.next >= staged.erased;
            let all_of_it = piece_end == sector || piece_end == staged.len;
            if untouched && all_of_it && self.slice(at, piece.len() as u32) == Some(piece) {
                staged.erased = sector;
            } else {
                if untouched {
                    self.erase_from(&mut staged, Self::SECTOR).map_err(|_| StorageError::Flash)?;
                }
                self.program(at, piece).map_err(|_| StorageError::Flash)?;
            }
            (staged.next, rest) = (piece_end, later);
        }
        self.staged = Some(staged);
        Ok(end)
    }

    /// Erases a block of the announced range before its bytes arrive. False if there is nothing to erase, or if erasing
    /// failed; [`write`](Self::write) then reports the failure.
    pub fn erase_ahead(&mut self) -> bool {
        let Some(mut staged) = self.staged.filter(|staged| staged.ahead) else { return false };
        // At most one block ahead of the one being filled: every sector erased unnecessarily destroys data that an
        // interrupted upload could have reused.
        if staged.erased >= staged.range_end || staged.erased >= staged.next.saturating_add(BLOCK) {
            return false;
        }
        staged.ahead = self.erase_from(&mut staged, BLOCK).is_ok();
        self.staged = Some(staged);
        staged.ahead
    }

    /// Erases from the first sector that is not erased yet to the next multiple of `block` or the end of the range.
    fn erase_from(&mut self, staged: &mut Staged, block: u32) -> Result<(), F::Error> {
        let from = staged.offset + staged.erased.max(staged.next);
        let last = (staged.offset + staged.range_end).next_multiple_of(Self::SECTOR);
        let to = (from + 1).next_multiple_of(block.max(Self::SECTOR)).min(last);
        // The result is not a multiple of `block` if blocks are not multiples of sectors.
        let to = to.next_multiple_of(Self::SECTOR).min(last);
        self.flash.erase(from, to)?;
        staged.erased = to - staged.offset;
        Ok(())
    }

    /// The uploaded pack, read back from the flash, once it is complete and has the announced hash.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::Incomplete`], [`StorageError::HashMismatch`],
    /// [`StorageError::Untrusted`].
    pub fn staged(&mut self) -> Result<Hashed<'_>, StorageError> {
        let staged = self.staged.ok_or(StorageError::NotStaged)?;
        if staged.next != staged.len {
            return Err(StorageError::Incomplete { received: staged.next, len: staged.len });
        }
        let bytes = self.slice(staged.offset, staged.len).ok_or(StorageError::Flash)?;
        let intact = match staged.intact {
            Some(intact) => intact,
            None => {
                let hashed = Hashed::new(bytes);
                if hashed.sha256() != staged.sha256 {
                    return Err(StorageError::HashMismatch);
                }
                if !self.trust.accepts(&hashed) {
                    return Err(StorageError::Untrusted);
                }
                hashed.is_intact()
            }
        };
        self.staged = Some(Staged { intact: Some(intact), ..staged });
        let bytes = self.slice(staged.offset, staged.len).ok_or(StorageError::Flash)?;
        Ok(Hashed::known(bytes, staged.sha256, intact))
    }

    /// True if the pack being uploaded is the one with this [`upload_tag`].
    pub fn expects(&self, tag: u16) -> bool {
        self.staged.is_some_and(|staged| upload_tag(&staged.sha256) == tag)
    }

    /// The SHA-256 announced for the pack being uploaded.
    pub fn staged_sha256(&self) -> Option<Sha256Hash> {
        self.staged.map(|staged| staged.sha256)
    }

    /// Makes the uploaded pack the loaded one.
    ///
    /// # Errors
    /// Those of [`staged`](Self::staged), and [`StorageError::Flash`]. After an error the loaded pack stays loaded.
    pub fn commit(&mut self) -> Result<(), StorageError> {
        let intact = self.staged()?.is_intact();
        let Some(staged) = self.staged else { return Err(StorageError::NotStaged) };
        // The new number is above that of every existing record, even of one whose pack is damaged, so none of them wins
        // again. The loaded pack's record is never overwritten. If no pack is loaded, the newest record is kept, because
        // its pack may prove to be readable.
        let newest = [0, 1].into_iter().filter_map(|sector| Some((sector, self.read_record(sector)?)));
        let newest = newest.max_by_key(|(_, record)| record.sequence);
        let sequence = newest.map_or(1, |(_, record)| record.sequence + 1);
        let sector =
            self.active.map(|active| active.sector).or(newest.map(|(sector, _)| sector)).map_or(0, |sector| 1 - sector);
        let record = Record { magic: MAGIC, sequence, offset: staged.offset, len: staged.len, sha256: staged.sha256 };
        self.write_record(sector, &record)?;
        self.active = Some(Active { sector, record, intact });
        self.staged = None;
        Ok(())
    }

    /// Erases everything, including the loaded pack.
    ///
    /// # Errors
    /// [`StorageError::Flash`]; whatever pack is still whole is then loaded.
    pub fn erase(&mut self) -> Result<(), StorageError> {
        self.staged = None;
        let loaded = self.active.map_or(0, |active| active.sector);
        // The older record is erased first: power lost between the two leaves the loaded pack or none, never the one
        // before it.
        let records = [1 - loaded, loaded].into_iter();
        let result = records.chain(RECORDS..self.end() / Self::SECTOR).try_for_each(|sector| {
            let at = sector * Self::SECTOR;
            match self.slice(at, Self::SECTOR) {
                Some(bytes) if !is_erased(bytes) => self.flash.erase(at, at + Self::SECTOR),
                _ => Ok(()),
            }
        });
        self.find();
        result.map_err(|_| StorageError::Flash)
    }

    /// Ends the upload; the flash keeps its bytes.
    pub fn abort(&mut self) {
        self.staged = None;
    }

    /// The flash.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// The keys that a pack must be signed with one of.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// The flash, for a caller that maintains it. The caller must not change its bytes.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Returns the flash with its current contents.
    pub fn release(self) -> F {
        self.flash
    }

    /// Offset of the flash's end, rounded down to whole sectors.
    fn end(&self) -> u32 {
        let capacity = u32::try_from(self.flash.capacity()).unwrap_or(u32::MAX);
        capacity / Self::SECTOR * Self::SECTOR
    }

    /// The free ranges below and above the loaded pack, in whole sectors.
    fn gaps(&self) -> ((u32, u32), (u32, u32)) {
        let (start, end) = ((RECORDS * Self::SECTOR).min(self.end()), self.end());
        match self.active {
            None => ((start, end), (end, end)),
            Some(Active { record, .. }) => {
                let above = record.offset + record.len.next_multiple_of(Self::SECTOR);
                ((start, record.offset), (above, end))
            }
        }
    }

    fn slice(&self, offset: u32, len: u32) -> Option<&[u8]> {
        let end = offset.checked_add(len)?;
        self.flash.bytes().get(offset as usize..end as usize)
    }

    fn read_record(&self, sector: u32) -> Option<Record> {
        let bytes = self.slice(sector * Self::SECTOR, Self::SECTOR)?;
        let bytes = &bytes[..bytes.len().min(MAX_WORD)];
        let (record, rest) = postcard::take_from_bytes::<Record>(bytes).ok()?;
        let sum = checksum(&bytes[..bytes.len() - rest.len()]);
        if rest.first_chunk() != Some(&sum.to_le_bytes()) {
            return None;
        }
        let first = RECORDS * Self::SECTOR;
        let aligned = record.offset >= first && record.offset.is_multiple_of(Self::SECTOR);
        // `u32::MAX` is refused, because no later number could follow it.
        let counted = record.sequence < u32::MAX;
        let end = record.len.checked_next_multiple_of(Self::SECTOR).and_then(|room| record.offset.checked_add(room));
        (record.magic == MAGIC && counted && aligned && end.is_some_and(|end| end <= self.end())).then_some(record)
    }

    fn write_record(&mut self, sector: u32, record: &Record) -> Result<(), StorageError> {
        let mut bytes = [0xFF; MAX_WORD];
        let used = write_record(record, &mut bytes).ok_or(StorageError::Flash)?.next_multiple_of(F::WRITE_SIZE);
        let at = sector * Self::SECTOR;
        self.flash.erase(at, at + Self::SECTOR).map_err(|_| StorageError::Flash)?;
        self.flash.write(at, &bytes[..used]).map_err(|_| StorageError::Flash)?;
        // Reads the record back instead of trusting that the write worked.
        if self.read_record(sector) == Some(*record) { Ok(()) } else { Err(StorageError::Flash) }
    }

    /// Writes `data` at `at` (a multiple of a word), where the flash is erased.
    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), F::Error> {
        let whole = data.len() / F::WRITE_SIZE * F::WRITE_SIZE;
        let (words, tail) = data.split_at(whole);
        if !words.is_empty() {
            self.flash.write(at, words)?;
        }
        if !tail.is_empty() {
            let mut word = [0xFF; MAX_WORD];
            word[..tail.len()].copy_from_slice(tail);
            self.flash.write(at + whole as u32, &word[..F::WRITE_SIZE])?;
        }
        Ok(())
    }
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0xFF)
}

/// Writes a record and the checksum behind it to the start of `bytes`; returns their length, nothing without room.
fn write_record(record: &Record, bytes: &mut [u8]) -> Option<usize> {
    let len = postcard::to_slice(record, bytes).ok()?.len();
    let (record, rest) = bytes.split_at_mut(len);
    *rest.first_chunk_mut()? = checksum(record).to_le_bytes();
    Some(len + 4)
}

#[cfg(test)]
mod tests;
