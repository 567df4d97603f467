//! libnickeldime: the generator and the device's end of the link, for programs in C and C++.
//!
//! ```text
//!   device ------.            the link: requests in, replies out
//!   draw         |            one image, row by row
//!   model, sample, link       a pack in place; one image's description; the board's callbacks
//!   status                    what a call came to
//! ```
//!
//! Nothing here allocates. Memory, the serial line and the flash are the caller's. Every pointer is compared with null, every
//! number from C is checked before it becomes a Rust enum, and a model or device that was never opened is recognised by its
//! first word. `nickeldime.h` is made of these files.
#![no_std]

// The host's standard library brings a panic handler; a bare target gets the one below.
#[cfg(not(target_os = "none"))]
extern crate std;

mod device;
mod draw;
mod link;
mod model;
mod sample;
mod status;

use core::ffi::c_char;

/// Returns the library's version, as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn nd_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the version of the pack format that this library reads.
#[unsafe(no_mangle)]
pub extern "C" fn nd_pack_format() -> u32 {
    nickeldime_core::pack::FORMAT_VERSION.into()
}

/// Nothing in the library panics on any input, so this is a bug: it ends in the program's own fault handler.
#[cfg(all(target_os = "none", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "arm")]
    // SAFETY: an undefined instruction raises a fault and does nothing else.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "riscv32")]
    // SAFETY: an undefined instruction raises an exception and does nothing else.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nomem, nostack))
    }
}
