//! QEMU's `mps2-an386`.

use core::ptr;

/// Where the emulator's loader has put the pack, and the request.
pub const PACK: usize = 0x2100_0000;
pub const REQUEST: usize = 0x21F0_0000;
const TIMER0: usize = 0x4000_0000;

/// CMSDK timer 0, counting down at 25 MHz (40 emulated instructions) from whenever it was first asked.
pub fn now() -> u32 {
    // SAFETY: registers of timer 0, which nothing else here touches.
    unsafe {
        if ptr::read_volatile(TIMER0 as *const u32) == 0 {
            ptr::write_volatile((TIMER0 + 8) as *mut u32, u32::MAX);
            ptr::write_volatile((TIMER0 + 4) as *mut u32, u32::MAX);
            ptr::write_volatile(TIMER0 as *mut u32, 1);
        }
        ptr::read_volatile((TIMER0 + 4) as *const u32)
    }
}

/// Ticks since `start`.
pub fn since(start: u32) -> u32 {
    start.wrapping_sub(now())
}
