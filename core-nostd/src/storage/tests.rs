//! Tests of the storage on a flash that behaves like the real one, power cuts included.

extern crate std;

use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{NorFlashErrorKind, ReadNorFlash};

use super::*;

const SECTOR: usize = 64;
const WORD: usize = 8;

type Ram = RamFlash<Vec<u8>, WORD, SECTOR>;
type Failing = FailingFlash<Vec<u8>, WORD, SECTOR>;

/// Divides the number of places where power is lost, because Miri takes some thousand times as long.
const FEWER: usize = if cfg!(miri) { 11 } else { 1 };

fn flash(sectors: usize) -> Ram {
    RamFlash::erased(vec![0; sectors * SECTOR])
}

fn pack(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect()
}

fn sha(bytes: &[u8]) -> Sha256Hash {
    crate::hash::sha256(bytes)
}

/// Sends what is missing in chunks of three words, as a host does: every sector that differs, starting at the first word
/// of a sector that nothing has been written to since it was erased.
fn upload<F: MappedFlash>(storage: &mut Storage<F>, bytes: &[u8]) -> Result<(), StorageError> {
    send_missing(storage, bytes, |_| false)?;
    storage.commit()
}

/// Like [`upload`], but without the commit; returns how many bytes were sent. `ahead(n)` is true to erase ahead before
/// the n-th chunk.
fn send_missing<F: MappedFlash>(
    storage: &mut Storage<F>,
    bytes: &[u8],
    ahead: impl Fn(usize) -> bool,
) -> Result<usize, StorageError> {
    let len = bytes.len() as u32;
    let mut at = storage.begin(len, sha(bytes))?;
    let mut sums = [0; 100];
    let count = storage.survey(0, &mut sums)?;
    assert_eq!(count, bytes.len().div_ceil(SECTOR));
    let mut sent = 0;
    for ((begin, sector), sum) in (0..).step_by(SECTOR).zip(bytes.chunks(SECTOR)).zip(sums) {
        let end = begin + sector.len() as u32;
        if end <= at || sum == checksum(sector) {
            continue;
        }
        at = storage.announce(at, at.max(begin), end)?;
        while at < end {
            if ahead(sent) {
                storage.erase_ahead();
            }
            let chunk = &bytes[at as usize..end.min(at + 3 * WORD as u32) as usize];
            at = storage.write(at, chunk)?;
            sent += chunk.len();
        }
    }
    storage.announce(at, len, len)?;
    Ok(sent)
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
    assert_eq!(storage.write(0, &bytes[..16]), Err(StorageError::WrongOffset { expected: 0 }), "no run yet");
    assert_eq!(storage.announce(0, 0, 100), Ok(0));
    assert_eq!(storage.write(8, &bytes[8..16]), Err(StorageError::WrongOffset { expected: 0 }));
    assert_eq!(storage.write(0, &bytes[..16]), Ok(16));
    assert_eq!(storage.write(0, &bytes[..16]), Ok(16), "a duplicate is let pass");
    assert_eq!(storage.write(0, &bytes[..8]), Ok(16), "so is a late one");
    assert_eq!(storage.write(8, &bytes[8..24]), Err(StorageError::WrongOffset { expected: 16 }));
    assert_eq!(storage.write(16, &bytes[16..19]), Err(StorageError::WrongLength), "not a word");
    assert_eq!(storage.write(96, &[0; 8]), Err(StorageError::WrongLength), "past the end");
    assert_eq!(storage.commit(), Err(StorageError::Incomplete { received: 16, len: 100 }));
    assert_eq!(storage.begin(100, sha(&bytes)), Ok(16), "the same pack goes on");
    assert_eq!(storage.announce(0, 0, 100), Ok(16), "a late run is let pass");
    assert_eq!(storage.write(16, &bytes[16..]), Ok(100));
    assert_eq!(storage.commit(), Ok(()));
}

#[test]
fn runs_come_in_order_and_are_whole_sectors() {
    let mut storage = Storage::mount(flash(16));
    let bytes = pack(5, 400);
    assert_eq!(storage.announce(0, 0, 64), Err(StorageError::NotStaged));
    assert_eq!(storage.survey(0, &mut [0]), Err(StorageError::NotStaged));
    storage.begin(400, sha(&bytes)).expect("fits");
    for (offset, end) in [(0, 65), (0, 401), (0, u32::MAX), (128, 64), (3, 64)] {
        assert_eq!(storage.announce(0, offset, end), Err(StorageError::WrongLength), "{offset}..{end}");
    }
    assert_eq!(storage.announce(64, 64, 128), Err(StorageError::WrongOffset { expected: 0 }));
    assert_eq!(storage.announce(0, 64, 128), Ok(64), "past what is there");
    assert_eq!(storage.write(64, &bytes[64..192]), Err(StorageError::WrongOffset { expected: 64 }), "past the run");
    assert_eq!(storage.write(64, &bytes[64..128]), Ok(128));
    assert_eq!(storage.write(128, &bytes[128..136]), Err(StorageError::WrongOffset { expected: 128 }), "after it");
    assert_eq!(storage.announce(128, 200, 256), Ok(200), "within a sector that is empty from there on");
    assert_eq!(storage.write(200, &bytes[200..256]), Ok(256));
    assert_eq!(storage.announce(256, 384, 400), Ok(384));
    assert_eq!(storage.write(384, &bytes[384..400]), Ok(400));
    assert_eq!(storage.commit(), Err(StorageError::HashMismatch), "what was left out is not there");
    for from in [1, 63, 448] {
        assert_eq!(storage.survey(from, &mut [0]), Err(StorageError::WrongLength));
    }
    storage.abort();
    // A second upload of the same pack: the survey shows what was written, and no range begins in the middle of it.
    storage.begin(400, sha(&bytes)).expect("fits");
    let mut sums = [0; 9];
    assert_eq!(storage.survey(0, &mut sums), Ok(7));
    assert_eq!((sums[1], sums[6]), (checksum(&bytes[64..128]), checksum(&bytes[384..])));
    assert_eq!(storage.announce(0, 72, 128), Err(StorageError::NotErased));
    assert_eq!(storage.announce(0, 0, 64), Ok(0), "and nothing is changed by the refusal");
}

#[test]
fn an_upload_goes_on_after_a_reset_at_the_last_whole_sector() {
    let bytes = pack(2, 400);
    for chunks in (0..17).step_by(if cfg!(miri) { 4 } else { 1 }) {
        let mut storage = Storage::mount(flash(16));
        upload(&mut storage, &pack(1, 300)).expect("fits");
        storage.begin(400, sha(&bytes)).expect("fits");
        storage.announce(0, 0, 400).expect("fits");
        for (offset, chunk) in (0..).step_by(24).zip(bytes.chunks(24)).take(chunks) {
            storage.write(offset, chunk).expect("in order");
        }
        let mut storage = Storage::mount(storage.release());
        let sent = send_missing(&mut storage, &bytes, |_| false).expect("fits");
        let whole = (24 * chunks).min(400) / SECTOR * SECTOR;
        assert_eq!(sent, if 24 * chunks >= 400 { 0 } else { 400 - whole }, "{chunks} chunks before the reset");
        storage.commit().expect("all there");
        assert_eq!(storage.active(), Some(&bytes[..]));
    }
}

#[test]
fn sectors_that_have_the_bytes_are_neither_erased_nor_written() {
    let (one, two) = (pack(1, 500), pack(2, 500));
    let mut storage = Storage::mount(Failing::new(flash(20)));
    upload(&mut storage, &one).expect("fits");
    upload(&mut storage, &two).expect("fits");
    // The first pack again, which still lies in the other slot: only a record is written.
    let count = |storage: Storage<Failing>| {
        let flash = storage.release();
        (flash.operations(), Storage::mount(flash))
    };
    let (before, mut storage) = count(storage);
    upload(&mut storage, &one).expect("fits");
    let (after, mut storage) = count(storage);
    let record = 1 + MOST_RECORD.div_ceil(WORD) as u32;
    assert!(after - before <= record, "{} operations for a record", after - before);
    // A client that sends everything in whole sectors ends with the same result.
    storage.begin(500, sha(&two)).expect("fits");
    storage.announce(0, 0, 500).expect("fits");
    for (offset, sector) in (0..).step_by(SECTOR).zip(two.chunks(SECTOR)) {
        storage.write(offset, sector).expect("in order");
    }
    storage.commit().expect("all there");
    let (written, storage) = count(storage);
    assert!(written - after <= record, "{} operations for a record", written - after);
    // One byte differs, so one sector is sent.
    let mut three = one.clone();
    three[200] ^= 1;
    let (before, mut storage) = count(storage);
    assert_eq!(send_missing(&mut storage, &three, |_| false), Ok(SECTOR));
    let (after, _) = count(storage);
    assert_eq!(after - before, 1 + (SECTOR / WORD) as u32);
}

#[test]
fn erasing_ahead_changes_no_byte_that_is_somebodys() {
    let mut storage = Storage::mount(flash(24));
    upload(&mut storage, &pack(1, 500)).expect("fits");
    assert!(!storage.erase_ahead(), "nothing is announced");
    upload(&mut storage, &pack(2, 400)).expect("fits");
    let mut bytes = pack(1, 500);
    bytes[70] ^= 1;
    bytes[300] ^= 1;
    for every in 1..5 {
        bytes[71] ^= every as u8;
        assert!(send_missing(&mut storage, &bytes, |sent| sent % every == 0).expect("fits") <= 2 * SECTOR);
        storage.commit().expect("all there");
        assert_eq!(storage.active(), Some(&bytes[..]));
        upload(&mut storage, &pack(2, 400)).expect("fits");
    }
    storage.begin(500, [7; 32]).expect("fits");
    storage.announce(0, 64, 256).expect("fits");
    assert!(storage.erase_ahead(), "the run, which is shorter than a block");
    assert!(!storage.erase_ahead());
    assert_eq!(storage.active(), Some(&pack(2, 400)[..]));
    let sums = &mut [0; 8];
    storage.survey(0, sums).expect("begun");
    let (unchanged, erased) = (checksum(&bytes[256..320]), checksum(&[0xFF; SECTOR]));
    assert_eq!(sums.map(|sum| sum == erased), [false, true, true, true, false, false, false, false]);
    assert_eq!(sums[4], unchanged);
}

#[test]
fn erased_storage_has_no_model_also_after_power_is_lost_on_the_way() {
    let mut storage = Storage::mount(flash(16));
    for seed in 1..4 {
        upload(&mut storage, &pack(seed, 300)).expect("fits");
    }
    storage.begin(90, [1; 32]).expect("fits");
    storage.erase().expect("has power");
    assert_eq!((storage.active(), storage.progress()), (None, None));
    assert_eq!(storage.free(), storage.capacity());
    let bytes = storage.release().release();
    assert!(is_erased(&bytes));
    upload(&mut Storage::mount(Ram::new(bytes)), &pack(9, 300)).expect("fits");

    let mut storage = Storage::mount(flash(16));
    upload(&mut storage, &pack(1, 300)).expect("fits");
    upload(&mut storage, &pack(2, 300)).expect("fits");
    let before = storage.release().release();
    let mut ended = (0, 0);
    for cut in (1..100).step_by(FEWER) {
        let mut flash = Failing::new(Ram::new(before.clone()));
        flash.lose_power_at(cut, cut);
        let mut storage = Storage::mount(flash);
        let result = storage.erase();
        let storage = Storage::mount(storage.release().release());
        match storage.active() {
            None => ended.1 += 1,
            Some(found) => {
                assert_eq!(found, pack(2, 300), "never the one before");
                ended.0 += 1;
            }
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(ended.0 > 0 && FEWER * ended.1 > 5, "{ended:?}");
}

#[test]
fn wrong_bytes_are_not_committed() {
    let mut storage = Storage::mount(flash(16));
    upload(&mut storage, &pack(1, 100)).expect("fits");
    storage.begin(100, sha(&pack(2, 100))).expect("fits");
    storage.announce(0, 0, 100).expect("fits");
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
    storage.announce(0, 0, 64).expect("fits");
    assert_eq!(storage.write(u32::MAX, &[0; 8]), Err(StorageError::WrongLength));
    assert_eq!(storage.write(u32::MAX - 7, &[0; 8]), Err(StorageError::WrongLength));
    for sectors in 0..3 {
        let mut storage = Storage::mount(flash(sectors));
        assert_eq!((storage.capacity(), storage.free()), (0, 0));
        assert_eq!(storage.begin(1, [0; 32]), Err(StorageError::TooLarge));
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
        for cut in (1..1000).step_by(FEWER) {
            let mut flash = Failing::new(RamFlash::new(before.clone()));
            flash.lose_power_at(cut, cut);
            let mut storage = Storage::mount(flash);
            let done = upload(&mut storage, &new);
            let after = Storage::mount(storage.release().release());
            let found = after.active().expect("never neither");
            if found == &new[..] {
                ended.1 += 1;
            } else {
                assert_eq!(found, &old[..], "old and whole, power lost at {cut}");
                assert!(done.is_err(), "a commit that was told to have worked, did");
                ended.0 += 1;
            }
            // The board is not worse for it: the upload works when it is tried again.
            let mut storage = Storage::mount(after.release());
            upload(&mut storage, &new).expect("again");
            assert_eq!(storage.active(), Some(&new[..]));
            if done.is_ok() {
                break;
            }
        }
        assert!(FEWER * ended.0 > 10 && ended.1 > 0, "{ended:?}");
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
    for _ in 0..if cfg!(miri) { 40 } else { 20_000 } {
        let mut bytes = good.clone();
        for _ in 0..=random() % 4 {
            let at = random() as usize % (2 * SECTOR);
            bytes[at] = random() as u8;
        }
        let storage = Storage::mount(Ram::new(bytes));
        assert!(storage.active().is_none_or(|found| found == pack(1, 100)));
    }
    // Well-formed records with false contents.
    for (offset, len) in [(0, 10), (128, u32::MAX), (u32::MAX - 63, 64), (1 << 20, 64), (129, 5), (128, 0)] {
        let mut bytes = good.clone();
        let record = Record { magic: MAGIC, sequence: 9, offset, len, sha256: sha(&[]) };
        bytes[..2 * SECTOR].fill(0xFF);
        write_record(&record, &mut bytes[..SECTOR]).expect("fits");
        let mut storage = Storage::mount(Ram::new(bytes));
        assert!(storage.active().is_none_or(<[u8]>::is_empty));
        upload(&mut storage, &pack(7, 100)).expect("and is written over");
    }
}

#[test]
fn a_record_whose_pack_is_damaged_never_wins_again() {
    // Five packs are stored, then a bit of the last one flips: the one before is loaded. If that is damaged too, none
    // is.
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
        // Power lost on the way takes nothing that was there before.
        for cut in (1..100).step_by(FEWER) {
            let mut flash = Failing::new(Ram::new(bytes.clone()));
            flash.lose_power_at(cut, cut);
            let mut storage = Storage::mount(flash);
            let done = upload(&mut storage, &pack(9, 120));
            let after = Storage::mount(storage.release().release());
            let new = pack(9, 120);
            assert!(after.active() == Some(&new) || after.active() == before.as_deref(), "cut at {cut}");
            assert!(done.is_err() || after.active() == Some(&new));
        }
    }
}
