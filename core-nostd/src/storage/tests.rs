//! The storage on flash that behaves like flash, power cuts included.

extern crate std;

use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use super::*;

const SECTOR: usize = 64;
const WORD: usize = 8;

type Ram = RamFlash<Vec<u8>, WORD, SECTOR>;

fn flash(sectors: usize) -> Ram {
    RamFlash::erased(vec![0; sectors * SECTOR])
}

fn pack(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect()
}

fn sha(bytes: &[u8]) -> Sha256Hash {
    hash(bytes)
}

/// Uploads in chunks of three words.
fn upload<F: MappedFlash>(storage: &mut Storage<F>, bytes: &[u8]) -> Result<(), StorageError> {
    let mut at = storage.begin(bytes.len() as u32, sha(bytes))? as usize;
    while at < bytes.len() {
        let end = bytes.len().min(at + 3 * WORD);
        at = storage.write(at as u32, &bytes[at..end])? as usize;
    }
    storage.commit()
}

#[test]
fn ram_flash_behaves_like_flash() {
    let mut flash: RamFlash<Vec<u8>, 4, 16> = RamFlash::new(vec![0; 64]);
    flash.write(0, &[0xFF; 4]).expect("aligned");
    assert_eq!(flash.bytes()[..4], [0; 4], "a write sets no bit");
    flash.erase(0, 16).expect("aligned");
    flash.write(4, &[0xF0, 1, 2, 3]).expect("aligned");
    flash.write(4, &[0x3C, 1, 2, 3]).expect("aligned");
    assert_eq!(flash.bytes()[4], 0x30, "a second write only clears more");
    assert_eq!(flash.write(2, &[0; 4]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(0, &[0; 3]), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.write(64, &[0; 4]), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.erase(0, 8), Err(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(48, 80), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(flash.read(62, &mut [0; 4]), Err(NorFlashErrorKind::OutOfBounds));
}

#[test]
fn a_pack_is_there_after_a_restart() {
    let mut storage = Storage::mount(flash(16));
    assert_eq!(storage.active(), None);
    assert_eq!((storage.capacity(), storage.free()), (14 * 64, 14 * 64));
    for (seed, len) in [(1, 200), (2, 301), (3, 64), (4, 1)] {
        upload(&mut storage, &pack(seed, len)).expect("fits");
        assert_eq!(storage.active(), Some(&pack(seed, len)[..]));
        storage = Storage::mount(storage.release());
        assert_eq!(storage.active(), Some(&pack(seed, len)[..]), "{len} bytes after a restart");
    }
}

#[test]
fn packs_share_the_room_as_they_need_it() {
    // 14 sectors: 9 + 5 fit beside each other, whichever comes first, again and again.
    let mut storage = Storage::mount(flash(16));
    for round in 0..4 {
        upload(&mut storage, &pack(round, 9 * SECTOR)).expect("the large one");
        assert_eq!(storage.free(), 5 * SECTOR as u32);
        assert_eq!(upload(&mut storage, &pack(99, 5 * SECTOR + 1)), Err(StorageError::TooLarge));
        upload(&mut storage, &pack(round, 5 * SECTOR)).expect("the small one");
        assert_eq!(storage.free(), 9 * SECTOR as u32);
    }
}

#[test]
fn chunks_come_in_order_and_may_come_twice() {
    let mut storage = Storage::mount(flash(8));
    let bytes = pack(5, 100);
    assert_eq!(storage.write(0, &bytes[..8]), Err(StorageError::NotStaged));
    assert_eq!(storage.commit(), Err(StorageError::NotStaged));
    storage.begin(100, sha(&bytes)).expect("fits");
    assert_eq!(storage.write(8, &bytes[8..16]), Err(StorageError::WrongOffset { expected: 0 }));
    assert_eq!(storage.write(0, &bytes[..16]), Ok(16));
    assert_eq!(storage.write(0, &bytes[..16]), Ok(16), "a duplicate is let pass");
    assert_eq!(storage.write(0, &bytes[..8]), Ok(16), "so is a late one");
    assert_eq!(storage.write(8, &bytes[8..24]), Err(StorageError::WrongOffset { expected: 16 }));
    assert_eq!(storage.write(16, &bytes[16..19]), Err(StorageError::WrongLength), "not a word");
    assert_eq!(storage.write(96, &[0; 8]), Err(StorageError::WrongLength), "past the end");
    assert_eq!(storage.commit(), Err(StorageError::Incomplete { received: 16, len: 100 }));
    assert_eq!(storage.begin(100, sha(&bytes)), Ok(16), "the same pack goes on");
    assert_eq!(storage.write(16, &bytes[16..]), Ok(100));
    assert_eq!(storage.commit(), Ok(()));
}

#[test]
fn wrong_bytes_are_not_committed() {
    let mut storage = Storage::mount(flash(16));
    upload(&mut storage, &pack(1, 100)).expect("fits");
    storage.begin(100, sha(&pack(2, 100))).expect("fits");
    storage.write(0, &pack(3, 100)).expect("stored");
    assert_eq!(storage.commit(), Err(StorageError::HashMismatch));
    assert_eq!(storage.active(), Some(&pack(1, 100)[..]));
}

#[test]
fn sizes_at_the_edge_of_numbers_are_refused() {
    let mut storage = Storage::mount(flash(8));
    for len in [6 * 64 + 1, u32::MAX, u32::MAX - 63] {
        assert_eq!(storage.begin(len, [0; 32]), Err(StorageError::TooLarge));
    }
    storage.begin(64, [0; 32]).expect("fits");
    assert_eq!(storage.write(u32::MAX, &[0; 8]), Err(StorageError::WrongLength));
    assert_eq!(storage.write(u32::MAX - 7, &[0; 8]), Err(StorageError::WrongLength));
    for sectors in 0..3 {
        let mut storage = Storage::mount(flash(sectors));
        assert_eq!((storage.capacity(), storage.free()), (0, 0));
        assert_eq!(storage.begin(1, [0; 32]), Err(StorageError::TooLarge));
    }
}

/// Flash that loses power: the n-th erase or write stops halfway, and everything after it fails.
struct Failing {
    flash: Ram,
    left: usize,
}

#[derive(Debug)]
struct Dead;

impl NorFlashError for Dead {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Failing {
    type Error = Dead;
}

impl ReadNorFlash for Failing {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Dead> {
        self.flash.read(offset, bytes).map_err(|_| Dead)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl Failing {
    /// True while there is power; false with the operation that loses it and after.
    fn powered(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}

impl NorFlash for Failing {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Dead> {
        let last = self.left == 1;
        if self.powered() {
            return self.flash.erase(from, to).map_err(|_| Dead);
        }
        if last {
            // Torn: some sectors erased, the next one half.
            let mut bytes = self.flash.bytes().to_vec();
            let middle = (from + (to - from) / 2) as usize;
            bytes[from as usize..middle].fill(0xFF);
            self.flash = RamFlash::new(bytes);
        }
        Err(Dead)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Dead> {
        let last = self.left == 1;
        if self.powered() {
            return self.flash.write(offset, bytes).map_err(|_| Dead);
        }
        if last {
            // Torn: half the words written, and in the word after it only some bits.
            let half = bytes.len() / 2 / WORD * WORD;
            self.flash.write(offset, &bytes[..half]).map_err(|_| Dead)?;
            let torn: Vec<u8> = bytes[half..half + WORD].iter().map(|byte| byte | 0x5A).collect();
            self.flash.write(offset + half as u32, &torn).map_err(|_| Dead)?;
        }
        Err(Dead)
    }
}

impl MappedFlash for Failing {
    fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }
}

#[test]
fn power_lost_at_any_erase_or_write_leaves_the_old_or_the_new_pack_whole() {
    let (old, new) = (pack(1, 333), pack(2, 300));
    for start in 0..3 {
        // Different starting points: the record in either sector, the old pack at either end.
        let mut storage = Storage::mount(flash(16));
        for filler in 0..start {
            upload(&mut storage, &pack(10 + filler, 90)).expect("fits");
        }
        upload(&mut storage, &old).expect("fits");
        let before = storage.release().release();
        let mut ended = (0, 0);
        for cut in 1..1000 {
            let flash = Failing { flash: RamFlash::new(before.clone()), left: cut };
            let mut storage = Storage::mount(flash);
            let done = upload(&mut storage, &new);
            let after = Storage::mount(storage.release().flash);
            let found = after.active().expect("never neither");
            if found == &new[..] {
                ended.1 += 1;
            } else {
                assert_eq!(found, &old[..], "old and whole, power lost at {cut}");
                assert!(done.is_err(), "a commit that was told to have worked, did");
                ended.0 += 1;
            }
            // And the board is no worse for it: the upload works when it is tried again.
            let mut storage = Storage::mount(after.release());
            upload(&mut storage, &new).expect("again");
            assert_eq!(storage.active(), Some(&new[..]));
            if done.is_ok() {
                break;
            }
        }
        assert!(ended.0 > 10 && ended.1 > 0, "{ended:?}");
    }
}

#[test]
fn any_record_at_all_is_survived() {
    let mut storage = Storage::mount(flash(16));
    upload(&mut storage, &pack(1, 100)).expect("fits");
    let good = storage.release().release();
    let mut seed = 1u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=random() % 4 {
            let at = random() as usize % (2 * SECTOR);
            bytes[at] = random() as u8;
        }
        let storage = Storage::mount(Ram::new(bytes));
        assert!(storage.active().is_none_or(|found| found == pack(1, 100)));
    }
    // Records that are well made and lie.
    for (offset, len) in [(0, 10), (128, u32::MAX), (u32::MAX - 63, 64), (1 << 20, 64), (129, 5), (128, 0)] {
        let mut bytes = good.clone();
        let record = Record { magic: MAGIC, sequence: 9, offset, len, sha256: sha(&[]) };
        bytes[..2 * SECTOR].fill(0xFF);
        let _ = postcard::to_slice_crc32(&record, &mut bytes[..SECTOR], CRC.digest()).expect("fits");
        let mut storage = Storage::mount(Ram::new(bytes));
        assert!(storage.active().is_none_or(<[u8]>::is_empty));
        upload(&mut storage, &pack(7, 100)).expect("and is written over");
    }
}

#[test]
fn a_record_whose_pack_is_damaged_never_wins_again() {
    // Five packs, then a bit of the last one falls over: the one before is loaded, or, damaged too, none.
    for damaged in [1, 2] {
        let mut storage = Storage::mount(flash(16));
        for seed in 0..5 {
            upload(&mut storage, &pack(seed, 150)).expect("fits");
        }
        let places = [storage.read_record(0), storage.read_record(1)].map(|record| record.expect("is there"));
        let mut newest_first = places;
        newest_first.sort_by_key(|record| core::cmp::Reverse(record.sequence));
        let mut bytes = storage.release().release();
        for record in &newest_first[..damaged] {
            bytes[record.offset as usize + 70] ^= 4;
        }
        let mut storage = Storage::mount(Ram::new(bytes.clone()));
        let before = (damaged == 1).then(|| pack(3, 150));
        assert_eq!(storage.active(), before.as_deref());
        upload(&mut storage, &pack(9, 120)).expect("fits");
        assert_eq!(Storage::mount(storage.release()).active(), Some(&pack(9, 120)[..]), "{damaged} damaged");
        // Power lost on the way there takes nothing that there was.
        for cut in 1..100 {
            let mut storage = Storage::mount(Failing { flash: Ram::new(bytes.clone()), left: cut });
            let done = upload(&mut storage, &pack(9, 120));
            let after = Storage::mount(storage.release().flash);
            let new = pack(9, 120);
            assert!(after.active() == Some(&new) || after.active() == before.as_deref(), "cut at {cut}");
            assert!(done.is_err() || after.active() == Some(&new));
        }
    }
}
