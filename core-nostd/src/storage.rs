//! Where packs live: NOR flash that is erased in sectors, written in words and read in place.
//!
//! ```text
//!   sector 0   sector 1   sector 2 ...                                    end
//!   [record ]  [record ]  [ pack, from the low end ]   [ pack, to the high end ]
//! ```
//!
//! A record says where a pack lies and what its hash is. The newest record whose pack has that hash is the loaded one.
//! A new pack goes where the loaded one is not, and its record, written last, into the other record sector: whatever
//! happens at whatever byte before, the old pack is still there and still loaded.
//!
//! Where a new pack goes follows from the loaded one and its length alone. So after a reset it goes there again, and
//! what is there already counts: a host compares the sums of the storage with those of its pack ([`Storage::survey`])
//! and sends the rest, in ranges ([`Storage::announce`]). Nothing is kept of an upload but the bytes themselves.

use crate::link::{Sha256Hash, checksum, upload_tag};
use crate::pack::Hashed;
use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

mod failing;
mod ram;

pub use failing::{FailingFlash, PowerLost};
pub use ram::RamFlash;

/// NOR flash that can be read like memory.
pub trait MappedFlash: NorFlash {
    /// All of it; offset 0 is byte 0. Starts at a multiple of 4 in memory.
    fn bytes(&self) -> &[u8];
}

/// Why the storage refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// The pack fits in no gap.
    TooLarge,
    /// Nothing is staged.
    NotStaged,
    /// Bytes do not continue at this offset.
    WrongOffset {
        /// Where they continue.
        expected: u32,
    },
    /// Not a whole number of words, and not the end; or past the end; or a range that is not whole sectors.
    WrongLength,
    /// A range begins inside a sector that has something in the rest of it.
    NotErased,
    /// Bytes are missing at the end.
    Incomplete {
        /// Bytes staged.
        received: u32,
        /// Bytes announced.
        len: u32,
    },
    /// The staged bytes do not have the announced hash.
    HashMismatch,
    /// The flash failed.
    Flash,
}

/// The longest word that a flash may have to write at once.
const MAX_WORD: usize = 256;
/// The longest record: four numbers of 5 bytes, the hash, the CRC, and what rounds it up to a small word.
const MOST_RECORD: usize = 64;
/// "NDME": what a record starts with.
const MAGIC: u32 = 0x454D_444E;
/// Record sectors before the packs.
const RECORDS: u32 = 2;
/// A survey has one sum for so many bytes where sectors are larger.
const MOST_UNIT: u32 = 4096;
/// Erasing ahead goes up to the next multiple of this: flash chips erase blocks of that size faster than their sectors.
const BLOCK: u32 = 64 << 10;

/// What a record sector holds, as postcard with a CRC-32 behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    magic: u32,
    sequence: u32,
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
}

/// A pack on its way in. All but the first count from the pack's first byte.
#[derive(Clone, Copy, Debug)]
struct Staged {
    /// Where it goes.
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
    /// What is below this is stored, or need not be.
    next: u32,
    /// Where the announced range ends.
    range_end: u32,
    /// From `next` to here everything is erased. A multiple of a sector.
    erased: u32,
    /// Erasing ahead has not failed.
    ahead: bool,
    /// Known once it has been read back and has the announced hash: whether its own hash agrees too.
    intact: Option<bool>,
}

/// The loaded pack.
#[derive(Clone, Copy, Debug)]
struct Active {
    /// The record's sector.
    sector: u32,
    record: Record,
    /// The pack's own hash agrees.
    intact: bool,
}

/// The loaded pack, and at most one on its way in.
pub struct Storage<F> {
    flash: F,
    active: Option<Active>,
    staged: Option<Staged>,
}

impl<F: MappedFlash> Storage<F> {
    /// Bytes that are erased at once. Packs begin at multiples of it.
    pub const SECTOR: u32 = F::ERASE_SIZE as u32;
    /// Lengths of writes are multiples of this, but for the last. A record fits into a sector, and packs begin at
    /// multiples of 4.
    pub const WORD: u32 = {
        assert!(F::WRITE_SIZE <= MAX_WORD && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE));
        assert!(F::ERASE_SIZE >= MOST_RECORD && F::ERASE_SIZE.is_multiple_of(4));
        F::WRITE_SIZE as u32
    };

    /// How many bytes have one sum in a survey: a sector, or less where sectors are large.
    pub const UNIT: u32 = {
        let large = F::ERASE_SIZE as u32 > MOST_UNIT && F::ERASE_SIZE.is_multiple_of(MOST_UNIT as usize);
        if large { MOST_UNIT } else { F::ERASE_SIZE as u32 }
    };

    /// Finds the loaded pack, checking its bytes against their hash.
    pub fn mount(flash: F) -> Self {
        // Refuses to compile for a flash that this cannot work on.
        let _ = Self::WORD;
        let mut storage = Self { flash, active: None, staged: None };
        storage.find();
        storage
    }

    fn find(&mut self) {
        let mut found = [0, 1].map(|sector| self.read_record(sector).map(|record| (sector, record)));
        found.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.map(|(_, record)| record.sequence)));
        self.active = found.into_iter().flatten().find_map(|(sector, record)| {
            let hashed = Hashed::new(self.slice(record.offset, record.len)?);
            (hashed.sha256() == record.sha256).then(|| Active { sector, record, intact: hashed.is_intact() })
        });
    }

    /// Bytes for packs in all.
    pub fn capacity(&self) -> u32 {
        self.end().saturating_sub(RECORDS * Self::SECTOR)
    }

    /// The longest pack that fits beside the loaded one.
    pub fn free(&self) -> u32 {
        let (low, high) = self.gaps();
        (low.1 - low.0).max(high.1 - high.0)
    }

    /// The loaded pack.
    pub fn active(&self) -> Option<&[u8]> {
        self.active.and_then(|Active { record, .. }| self.slice(record.offset, record.len))
    }

    /// The loaded pack with the hashes that it had when it was found or committed.
    pub fn active_hashed(&self) -> Option<Hashed<'_>> {
        let Active { record, intact, .. } = self.active?;
        Some(Hashed::known(self.slice(record.offset, record.len)?, record.sha256, intact))
    }

    /// Hash of the loaded pack.
    pub fn active_sha256(&self) -> Option<Sha256Hash> {
        self.active.map(|active| active.record.sha256)
    }

    /// Bytes that are there and bytes announced of the pack on its way in.
    pub fn progress(&self) -> Option<(u32, u32)> {
        self.staged.map(|staged| (staged.next, staged.len))
    }

    /// Expects a pack, and says from which byte on: not 0 when the same pack was on its way in already.
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
        // Against the ends, so that the loaded pack and the new one never leave two small gaps.
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

    /// Sums ([`checksum`]) of what lies where the pack on its way in goes: one for every unit from byte `from` of the pack on,
    /// as many as `sums` has places for. The last unit ends with the pack. Returns how many there are.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`]; [`StorageError::WrongLength`] when no unit begins at `from`.
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

    /// Announces that the bytes `offset..end` come next, after those below `after`; the bytes between the two stay as they
    /// are. Returns where bytes continue. Announcing the same range twice is harmless.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::WrongOffset`], [`StorageError::WrongLength`];
    /// [`StorageError::NotErased`] for a range that begins inside a sector which is in use from there on.
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

    /// Stores the next bytes of a range, erasing sectors as it comes to them; a sector that has these bytes already is left
    /// as it is. Bytes that are stored already are let pass. Returns where they continue.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::WrongOffset`] (outside a range too), [`StorageError::WrongLength`]; after
    /// [`StorageError::Flash`] nothing is staged any more.
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
        // Until all of it is stored, nothing is staged.
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

    /// Erases a block of the announced range before its bytes come; false when there is nothing to erase, or it failed and
    /// [`write`](Self::write) will say so.
    pub fn erase_ahead(&mut self) -> bool {
        let Some(mut staged) = self.staged.filter(|staged| staged.ahead) else { return false };
        // One block ahead of the one that is being filled, and no further: every sector erased in vain destroys data that an interrupted upload could have reused.
        if staged.erased >= staged.range_end || staged.erased >= staged.next.saturating_add(BLOCK) {
            return false;
        }
        staged.ahead = self.erase_from(&mut staged, BLOCK).is_ok();
        self.staged = Some(staged);
        staged.ahead
    }

    /// Erases on from where it is not erased yet, to the next multiple of `block` or the end of the range.
    fn erase_from(&mut self, staged: &mut Staged, block: u32) -> Result<(), F::Error> {
        let from = staged.offset + staged.erased.max(staged.next);
        let last = (staged.offset + staged.range_end).next_multiple_of(Self::SECTOR);
        let to = (from + 1).next_multiple_of(block.max(Self::SECTOR)).min(last);
        // Not a multiple of a block where blocks are no multiples of sectors.
        let to = to.next_multiple_of(Self::SECTOR).min(last);
        self.flash.erase(from, to)?;
        staged.erased = to - staged.offset;
        Ok(())
    }

    /// The pack on its way in, when it is complete and has the announced hash. Read back from the flash.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::Incomplete`], [`StorageError::HashMismatch`].
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
                hashed.is_intact()
            }
        };
        self.staged = Some(Staged { intact: Some(intact), ..staged });
        let bytes = self.slice(staged.offset, staged.len).ok_or(StorageError::Flash)?;
        Ok(Hashed::known(bytes, staged.sha256, intact))
    }

    /// Whether the pack on its way in is the one with this [`upload_tag`].
    pub fn expects(&self, tag: u16) -> bool {
        self.staged.is_some_and(|staged| upload_tag(&staged.sha256) == tag)
    }

    /// Hash announced for the pack on its way in.
    pub fn staged_sha256(&self) -> Option<Sha256Hash> {
        self.staged.map(|staged| staged.sha256)
    }

    /// Makes the pack on its way in the loaded one.
    ///
    /// # Errors
    /// Those of [`staged`](Self::staged), and [`StorageError::Flash`]; the loaded pack stays.
    pub fn commit(&mut self) -> Result<(), StorageError> {
        let intact = self.staged()?.is_intact();
        let Some(staged) = self.staged else { return Err(StorageError::NotStaged) };
        // Above every record that there is, a pack of which is damaged included: none of them ever wins again. Over the
        // loaded pack's own record never; without one, not over the newest, which may yet be somebody's.
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

    /// Erases everything, the loaded pack too.
    ///
    /// # Errors
    /// [`StorageError::Flash`]; what is loaded then is what is still whole.
    pub fn erase(&mut self) -> Result<(), StorageError> {
        self.staged = None;
        let loaded = self.active.map_or(0, |active| active.sector);
        // The older record first: power lost between the two leaves the loaded pack or none, never the one before it.
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

    /// Forgets the pack on its way in.
    pub fn abort(&mut self) {
        self.staged = None;
    }

    /// The flash, to look at.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// The flash, for who has to look after it. It keeps the bytes that it has.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// The flash itself, as it is now.
    pub fn release(self) -> F {
        self.flash
    }

    /// Where the flash ends: whole sectors only.
    fn end(&self) -> u32 {
        let capacity = u32::try_from(self.flash.capacity()).unwrap_or(u32::MAX);
        capacity / Self::SECTOR * Self::SECTOR
    }

    /// What is free below and above the loaded pack, in whole sectors.
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
        // There is a number after it.
        let counted = record.sequence < u32::MAX;
        let end = record.len.checked_next_multiple_of(Self::SECTOR).and_then(|room| record.offset.checked_add(room));
        (record.magic == MAGIC && counted && aligned && end.is_some_and(|end| end <= self.end())).then_some(record)
    }

    fn write_record(&mut self, sector: u32, record: &Record) -> Result<(), StorageError> {
        let mut bytes = [0xFF; MAX_WORD];
        let len = postcard::to_slice(record, &mut bytes).map_err(|_| StorageError::Flash)?.len();
        let sum = checksum(&bytes[..len]).to_le_bytes();
        let used = len + sum.len();
        bytes.get_mut(len..used).ok_or(StorageError::Flash)?.copy_from_slice(&sum);
        let used = used.next_multiple_of(F::WRITE_SIZE);
        let at = sector * Self::SECTOR;
        self.flash.erase(at, at + Self::SECTOR).map_err(|_| StorageError::Flash)?;
        self.flash.write(at, &bytes[..used]).map_err(|_| StorageError::Flash)?;
        // Believe what the flash says, not what it was told.
        if self.read_record(sector) == Some(*record) { Ok(()) } else { Err(StorageError::Flash) }
    }

    /// Writes `data` at `at` (a multiple of a word), where it is erased.
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

#[cfg(test)]
mod tests;
