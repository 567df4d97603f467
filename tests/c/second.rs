//! Another Rust library for C programs, with a panic handler of its own: both must fit into one program.
#![no_std]

use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}

/// A sum that may panic, and that wants a division and a copy from the compiler's own library.
///
/// # Safety
/// `bytes` has `count` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn second_sum(bytes: *const u8, count: usize, by: u64) -> u64 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, count) };
    let mut copy = [0; 256];
    copy[..count].copy_from_slice(bytes);
    copy.iter().map(|byte| u64::from(*byte)).sum::<u64>() / by
}
