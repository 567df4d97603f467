//! Cortex-M: SysTick or a timer of the board, semihosting by a breakpoint.

use core::arch::asm;
use core::ptr;
#[cfg(armv8m)]
use core::sync::atomic::{AtomicU32, Ordering};

/// Addresses of SysTick's control, reload and current value.
#[cfg(armv8m)]
const SYST: [usize; 3] = [0xE000_E010, 0xE000_E014, 0xE000_E018];
/// Largest value of SysTick, which has 24 bits.
#[cfg(armv8m)]
const SYST_MAX: u32 = 0xFF_FFFF;
/// Addresses of CMSDK timer 0 of the AN386: control, value and reload.
#[cfg(not(armv8m))]
const TIMER0: [usize; 3] = [0x4000_0000, 0x4000_0004, 0x4000_0008];

/// The stack pointer.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let here: usize;
    // SAFETY: reads the stack pointer.
    unsafe { asm!("mov {}, sp", out(reg) here) };
    here
}

/// Ticks since some moment before the first call, modulo 2^32. Where SysTick is the clock, at most 2^24 ticks may pass
/// between two calls.
#[cfg(not(armv8m))]
pub fn now() -> u32 {
    // SAFETY: registers of timer 0, which nothing else here touches; it counts down from its reload value.
    unsafe {
        if ptr::read_volatile(TIMER0[0] as *const u32) == 0 {
            ptr::write_volatile(TIMER0[2] as *mut u32, u32::MAX);
            ptr::write_volatile(TIMER0[1] as *mut u32, u32::MAX);
            ptr::write_volatile(TIMER0[0] as *mut u32, 1);
        }
        !ptr::read_volatile(TIMER0[1] as *const u32)
    }
}

/// Ticks as above. The AN547 has no 32-bit timer that counts at a whole number of instructions, so SysTick is extended.
#[cfg(armv8m)]
pub fn now() -> u32 {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static LAST: AtomicU32 = AtomicU32::new(SYST_MAX);
    // SAFETY: registers of SysTick, which only the profile uses beside this, in a job of its own.
    let value = unsafe {
        if ptr::read_volatile(SYST[0] as *const u32) & 1 == 0 {
            ptr::write_volatile(SYST[1] as *mut u32, SYST_MAX);
            ptr::write_volatile(SYST[2] as *mut u32, 0);
            ptr::write_volatile(SYST[0] as *mut u32, 5);
        }
        ptr::read_volatile(SYST[2] as *const u32)
    };
    let since = LAST.load(Ordering::Relaxed).wrapping_sub(value) & SYST_MAX;
    LAST.store(value, Ordering::Relaxed);
    let passed = PASSED.load(Ordering::Relaxed).wrapping_add(since);
    PASSED.store(passed, Ordering::Relaxed);
    passed
}

/// Makes a semihosting call.
pub fn call(operation: usize, argument: usize) {
    // SAFETY: a semihosting call as Arm defines it; the emulator reads the argument and changes r0.
    unsafe { asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument) };
}
