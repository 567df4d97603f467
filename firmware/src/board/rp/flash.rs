//! The flash after the firmware. While it is erased or written, nothing can be read from it, including the program. The
//! code that does it runs from RAM with interrupts off.

use core::cell::UnsafeCell;
use core::{ptr, slice};

use embedded_storage::nor_flash::NorFlashErrorKind;

use super::hal::rom_data;
use super::watchdog;
use crate::flash::RawFlash;
use crate::sizes::Sizes;

/// Address at which the flash appears in memory.
const MAPPED: usize = 0x1000_0000;
/// Bytes of the function that sets the flash up for fast reading. The slow way is all that the boot ROM's own functions leave
/// behind them.
const SETUP_LEN: usize = 256;
/// What one command erases.
const SECTOR: usize = 4096;
/// A block is erased by one command, faster than its sectors.
const BLOCK: u32 = 64 << 10;
const ERASE_BLOCK: u8 = 0xD8;

/// The copy of the setup function, in RAM.
struct Setup(UnsafeCell<[u32; SETUP_LEN / 4]>);

// SAFETY: it is written only in `new`, before anything runs it.
unsafe impl Sync for Setup {}

static FAST_READING: Setup = Setup(UnsafeCell::new([0; SETUP_LEN / 4]));

/// A change of the flash, from its byte `at` on.
enum Change<'a> {
    Erase { at: u32, len: u32 },
    Write { at: u32, bytes: &'a [u8] },
}

/// The boot ROM's functions, looked up before the flash becomes unreadable.
struct Rom {
    connect: unsafe extern "C" fn(),
    stop_reading: unsafe extern "C" fn(),
    erase: unsafe extern "C" fn(u32, usize, u32, u8),
    program: unsafe extern "C" fn(u32, *const u8, usize),
    forget_cached: unsafe extern "C" fn(),
    read_fast: unsafe extern "C" fn(),
}

/// The flash of the packs.
pub struct PicoFlash(Sizes);

impl PicoFlash {
    /// The flash behind the program, on a board of these sizes. At `setup` lies the function that sets the flash up for fast
    /// reading, 256 bytes that run anywhere.
    ///
    /// # Safety
    /// Called once, before anything is erased or written; the function is there, and the flash is as large as the sizes say.
    pub unsafe fn new(sizes: Sizes, setup: usize) -> Self {
        // SAFETY: the caller's promise; nothing else has a reference to the copy.
        unsafe { ptr::copy_nonoverlapping(setup as *const u32, FAST_READING.0.get().cast(), SETUP_LEN / 4) };
        Self(sizes)
    }

    fn change(&mut self, change: Change<'_>) {
        let rom = Rom {
            connect: rom_data::connect_internal_flash::ptr(),
            stop_reading: rom_data::flash_exit_xip::ptr(),
            erase: rom_data::flash_range_erase::ptr(),
            program: rom_data::flash_range_program::ptr(),
            forget_cached: rom_data::flash_flush_cache::ptr(),
            // SAFETY: Thumb code that takes no arguments (bit 0 says so), copied in `new`.
            read_fast: unsafe {
                core::mem::transmute::<usize, unsafe extern "C" fn()>(FAST_READING.0.get() as usize | 1)
            },
        };
        // SAFETY: interrupts are masked, the other core was never started, and the range is inside the flash.
        cortex_m::interrupt::free(|_| unsafe { apply(&rom, &change) });
        watchdog::feed();
    }
}

/// Applies a change to the flash. It lies in RAM, and so does everything that it touches.
///
/// # Safety
/// Nothing else runs at the same time.
#[unsafe(link_section = ".data.apply")]
#[inline(never)]
unsafe fn apply(rom: &Rom, change: &Change<'_>) {
    // SAFETY: the order of the steps is that of the chip's data sheet; the caller promises the rest.
    unsafe {
        (rom.connect)();
        (rom.stop_reading)();
        match *change {
            Change::Erase { at, len } => (rom.erase)(at, len as usize, BLOCK, ERASE_BLOCK),
            Change::Write { at, bytes } => (rom.program)(at, bytes.as_ptr(), bytes.len()),
        }
        (rom.forget_cached)();
        (rom.read_fast)();
    }
}

impl RawFlash for PicoFlash {
    const WRITE_SIZE: usize = 256;
    const ERASE_SIZE: usize = SECTOR;

    fn bytes(&self) -> &[u8] {
        // SAFETY: flash of this board; it changes in `&mut self` methods only.
        unsafe { slice::from_raw_parts((MAPPED + self.0.program as usize) as *const u8, self.0.storage as usize) }
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let mut next = from;
        while next < to {
            // Whole blocks are erased where possible, because that is faster. Interrupts are served between two erases.
            let end = (next + 1).next_multiple_of(BLOCK).min(to);
            self.change(Change::Erase { at: self.0.program + next, len: end - next });
            next = end;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.change(Change::Write { at: self.0.program + offset, bytes });
        Ok(())
    }
}
