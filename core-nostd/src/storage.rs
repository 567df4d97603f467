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

use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::link::Sha256Hash;
use crate::link::frame::CRC;

mod ram;

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
    /// Not a whole number of words, and not the end; or past the end.
    WrongLength,
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

/// What a record sector holds, as postcard with a CRC-32 behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    magic: u32,
    sequence: u32,
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
}

/// A pack on its way in.
#[derive(Clone, Copy, Debug)]
struct Staged {
    offset: u32,
    len: u32,
    sha256: Sha256Hash,
    received: u32,
}

/// The loaded pack, and at most one on its way in.
pub struct Storage<F> {
    flash: F,
    active: Option<(u32, Record)>,
    staged: Option<Staged>,
}

impl<F: MappedFlash> Storage<F> {
    const SECTOR: u32 = F::ERASE_SIZE as u32;
    /// Lengths of writes are multiples of this, but for the last. A record fits into a sector, and packs begin at
    /// multiples of 4.
    pub const WORD: u32 = {
        assert!(F::WRITE_SIZE <= MAX_WORD && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE));
        assert!(F::ERASE_SIZE >= MOST_RECORD && F::ERASE_SIZE.is_multiple_of(4));
        F::WRITE_SIZE as u32
    };

    /// Finds the loaded pack, checking its bytes against their hash.
    pub fn mount(flash: F) -> Self {
        // Refuses to compile for a flash that this cannot work on.
        let _ = Self::WORD;
        let mut storage = Self { flash, active: None, staged: None };
        let mut found = [0, 1].map(|sector| storage.read_record(sector).map(|record| (sector, record)));
        found.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.map(|(_, record)| record.sequence)));
        storage.active = found
            .into_iter()
            .flatten()
            .find(|(_, record)| storage.slice(record.offset, record.len).is_some_and(|b| hash(b) == record.sha256));
        storage
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
        self.active.and_then(|(_, record)| self.slice(record.offset, record.len))
    }

    /// Hash of the loaded pack.
    pub fn active_sha256(&self) -> Option<Sha256Hash> {
        self.active.map(|(_, record)| record.sha256)
    }

    /// Bytes received and announced of the pack on its way in.
    pub fn progress(&self) -> Option<(u32, u32)> {
        self.staged.map(|staged| (staged.received, staged.len))
    }

    /// Expects a pack, and says from which byte on: not 0 when the same pack was on its way in already.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`].
    pub fn begin(&mut self, len: u32, sha256: Sha256Hash) -> Result<u32, StorageError> {
        if let Some(staged) = self.staged
            && (staged.len, staged.sha256) == (len, sha256)
        {
            return Ok(staged.received);
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
        self.staged = Some(Staged { offset, len, sha256, received: 0 });
        Ok(0)
    }

    /// Stores the next bytes, erasing sectors as it comes to them. Bytes that are stored already are let pass.
    /// Returns how many there are now.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::WrongOffset`], [`StorageError::WrongLength`]; after
    /// [`StorageError::Flash`] nothing is staged any more.
    pub fn write(&mut self, offset: u32, data: &[u8]) -> Result<u32, StorageError> {
        let mut staged = self.staged.ok_or(StorageError::NotStaged)?;
        let len = u32::try_from(data.len()).map_err(|_| StorageError::WrongLength)?;
        let end = offset.checked_add(len).filter(|&end| end <= staged.len).ok_or(StorageError::WrongLength)?;
        if end <= staged.received {
            return Ok(staged.received);
        }
        if offset != staged.received {
            return Err(StorageError::WrongOffset { expected: staged.received });
        }
        if end != staged.len && !len.is_multiple_of(Self::WORD) {
            return Err(StorageError::WrongLength);
        }
        if self.program(staged.offset + offset, data).is_err() {
            self.staged = None;
            return Err(StorageError::Flash);
        }
        staged.received = end;
        self.staged = Some(staged);
        Ok(end)
    }

    /// The pack on its way in, when it is complete and has the announced hash. Read back from the flash.
    ///
    /// # Errors
    /// [`StorageError::NotStaged`], [`StorageError::Incomplete`], [`StorageError::HashMismatch`].
    pub fn staged(&self) -> Result<&[u8], StorageError> {
        let staged = self.staged.ok_or(StorageError::NotStaged)?;
        if staged.received != staged.len {
            return Err(StorageError::Incomplete { received: staged.received, len: staged.len });
        }
        let bytes = self.slice(staged.offset, staged.len).ok_or(StorageError::Flash)?;
        if hash(bytes) == staged.sha256 { Ok(bytes) } else { Err(StorageError::HashMismatch) }
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
        self.staged()?;
        let Some(staged) = self.staged else { return Err(StorageError::NotStaged) };
        // Above every record that there is, a pack of which is damaged included: none of them ever wins again. Over the
        // loaded pack's own record never; without one, not over the newest, which may yet be somebody's.
        let newest = [0, 1].into_iter().filter_map(|sector| Some((sector, self.read_record(sector)?)));
        let newest = newest.max_by_key(|(_, record)| record.sequence);
        let sequence = newest.map_or(1, |(_, record)| record.sequence + 1);
        let sector = self.active.or(newest).map_or(0, |(sector, _)| 1 - sector);
        let record = Record { magic: MAGIC, sequence, offset: staged.offset, len: staged.len, sha256: staged.sha256 };
        self.write_record(sector, &record)?;
        self.active = Some((sector, record));
        self.staged = None;
        Ok(())
    }

    /// Forgets the pack on its way in.
    pub fn abort(&mut self) {
        self.staged = None;
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
            Some((_, record)) => {
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
        let record: Record = postcard::from_bytes_crc32(bytes, CRC.digest()).ok()?;
        let first = RECORDS * Self::SECTOR;
        let aligned = record.offset >= first && record.offset.is_multiple_of(Self::SECTOR);
        // There is a number after it.
        let counted = record.sequence < u32::MAX;
        let end = record.len.checked_next_multiple_of(Self::SECTOR).and_then(|room| record.offset.checked_add(room));
        (record.magic == MAGIC && counted && aligned && end.is_some_and(|end| end <= self.end())).then_some(record)
    }

    fn write_record(&mut self, sector: u32, record: &Record) -> Result<(), StorageError> {
        let mut bytes = [0xFF; MAX_WORD];
        let used = postcard::to_slice_crc32(record, &mut bytes, CRC.digest()).map_err(|_| StorageError::Flash)?.len();
        let used = used.next_multiple_of(F::WRITE_SIZE);
        let at = sector * Self::SECTOR;
        self.flash.erase(at, at + Self::SECTOR).map_err(|_| StorageError::Flash)?;
        self.flash.write(at, &bytes[..used]).map_err(|_| StorageError::Flash)?;
        // Believe what the flash says, not what it was told.
        if self.read_record(sector) == Some(*record) { Ok(()) } else { Err(StorageError::Flash) }
    }

    /// Writes `data` at `at` (a multiple of a word), erasing every sector that starts inside.
    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), F::Error> {
        let end = at + data.len() as u32;
        let first = at.next_multiple_of(Self::SECTOR);
        if first < end {
            self.flash.erase(first, end.next_multiple_of(Self::SECTOR))?;
        }
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

fn hash(bytes: &[u8]) -> Sha256Hash {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests;
