//! RV32IMAC: the cycle counter, which counts instructions in the emulator, and semihosting by its three instructions.

use core::arch::asm;

/// The stack pointer.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let here: usize;
    // SAFETY: reads the stack pointer.
    unsafe { asm!("mv {}, sp", out(reg) here) };
    here
}

/// Instructions since the start, modulo 2^32.
pub fn now() -> u32 {
    let count: u32;
    // SAFETY: reads a counter.
    unsafe { asm!("csrr {}, mcycle", out(reg) count) };
    count
}

/// Makes a semihosting call.
pub fn call(operation: usize, argument: usize) {
    // SAFETY: the call as the RISC-V semihosting specification has it, its three instructions uncompressed and in one page;
    // the emulator reads the argument and changes a0.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => _,
            in("a1") argument,
        );
    }
}
