//! The flash behind the program, mapped into memory by the chip's MMU.

use core::slice;

use embedded_storage::nor_flash::NorFlashErrorKind;
use esp_storage::ll;
use nickeldime_firmware::flash::RawFlash;
use nickeldime_firmware::sizes::ESP32C3 as SIZES;

/// Where the packs begin in the flash: behind the boot loader, the table of partitions and the program.
const START: u32 = SIZES.program;
/// Where they appear in memory: half of the MMU's window of 8 MB, of which the program has the beginning.
const MAPPED: usize = 0x3C40_0000;
/// Bytes of the MMU's pages, in kB as its function wants it.
const PAGE_KB: u32 = 64;

unsafe extern "C" {
    /// Functions of the chip's ROM.
    fn Cache_Suspend_ICache() -> u32;
    fn Cache_Resume_ICache(autoload: u32);
    fn Cache_Dbus_MMU_Set(external_ram: u32, at: u32, flash: u32, page_kb: u32, pages: u32, fixed: u32) -> i32;
    fn Cache_Invalidate_Addr(at: u32, len: u32) -> i32;
}

/// The flash of the packs.
pub struct EspFlash(());

impl EspFlash {
    /// Maps the flash.
    ///
    /// # Safety
    /// Called once, while nothing else uses the flash.
    pub unsafe fn new() -> Self {
        // SAFETY: the caller's promise; the window is free there, and the whole storage lies in the flash.
        unsafe { map() };
        // SAFETY: a function of the ROM that takes the flash's write protection off.
        let _ = unsafe { ll::spiflash_unlock() };
        Self(())
    }
}

/// Maps the storage. In RAM: the program cannot be read while the cache sleeps.
///
/// # Safety
/// The window is free, and nothing else changes the MMU.
#[esp_hal::ram]
unsafe fn map() {
    // SAFETY: in the order in which the chip's own software does it; the caller's promise.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        Cache_Dbus_MMU_Set(0, MAPPED as u32, START, PAGE_KB, SIZES.storage / (PAGE_KB << 10), 0);
        Cache_Invalidate_Addr(MAPPED as u32, SIZES.storage);
        Cache_Resume_ICache(autoload);
    }
}

/// Forgets what the cache holds of a part of the storage.
fn forget(from: u32, len: u32) {
    // SAFETY: the range is inside the mapped storage.
    unsafe { Cache_Invalidate_Addr(MAPPED as u32 + from, len) };
}

impl RawFlash for EspFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SIZES.sector as usize;

    fn bytes(&self) -> &[u8] {
        // SAFETY: `new` has mapped the storage there; it changes in `&mut self` methods only.
        unsafe { slice::from_raw_parts(MAPPED as *const u8, SIZES.storage as usize) }
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for sector in from / SIZES.sector..to / SIZES.sector {
            // SAFETY: a sector of the storage, which is no part of the program.
            let erased = unsafe { ll::spiflash_erase_sector(START / SIZES.sector + sector) };
            erased.map_err(|_| NorFlashErrorKind::Other)?;
        }
        forget(from, to - from);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        // The ROM reads words, and cannot read them from the flash.
        let mut words = [0u32; 64];
        for (at, part) in (offset..).step_by(4 * words.len()).zip(bytes.chunks(4 * words.len())) {
            let (given, _) = part.as_chunks::<4>();
            for (word, &bytes) in words.iter_mut().zip(given) {
                *word = u32::from_le_bytes(bytes);
            }
            // SAFETY: within the storage; the words are in RAM.
            let written = unsafe { ll::spiflash_write(START + at, words.as_ptr(), part.len() as u32) };
            written.map_err(|_| NorFlashErrorKind::Other)?;
        }
        forget(offset, bytes.len() as u32);
        Ok(())
    }
}
