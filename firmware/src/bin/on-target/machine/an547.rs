//! QEMU's `mps3-an547`.

use core::ptr;

/// Where the emulator's loader has put the pack, and the request: in the DDR memory.
pub const PACK: usize = 0x7000_0000;
pub const REQUEST: usize = 0x70F0_0000;
const COUNTER: usize = 0x5810_0000;

/// The system counter's lower word, at 32 MHz (31.25 emulated instructions).
pub fn now() -> u32 {
    // SAFETY: registers of the counter, which nothing else here touches.
    unsafe {
        ptr::write_volatile(COUNTER as *mut u32, 1);
        ptr::read_volatile((COUNTER + 8) as *const u32)
    }
}

/// Ticks since `start`.
pub fn since(start: u32) -> u32 {
    now().wrapping_sub(start)
}
