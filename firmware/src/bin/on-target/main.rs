//! The engine under an emulator, without a line: measures and compares what `nickeldime bench` and `tests/on_target.rs` ask
//! for, and prints the answer through the emulator's semihosting.
//!
//! The emulator's loader puts a [`Request`](machine::Request) and, for most jobs, a pack into memory before the start.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod images;
#[cfg(target_os = "none")]
mod layers;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod profile;
#[cfg(target_os = "none")]
mod twins;

#[cfg(target_os = "none")]
mod run {
    use crate::machine::{exit, request};
    use crate::{images, layers, profile, twins};

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let request = request();
        let done = match request.job {
            0 => images::hash(request.count),
            1 => images::cost(),
            2 => layers::run(),
            3 => profile::run(),
            4 => twins::run(request.count),
            _ => None,
        };
        exit(done.is_some())
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        exit(false)
    }
}

/// Built for a computer there is no emulator to speak to.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this runs under an emulator: `nickeldime bench --board qemu-m4`");
}
