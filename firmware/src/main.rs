//! The nickeldime device: hands a board's parts to the state machine of `nickeldime-core` and keeps it going.
//!
//! ```text
//!   board/*.rs  serial, flash, clock, buffers  -->  nickeldime_core::device::Device  -->  poll for ever
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board;

#[cfg(target_os = "none")]
mod run {
    use nickeldime_core::device::{Activity, Device, Identity, Integers};

    use crate::board;

    #[board::entry]
    fn main() -> ! {
        // SAFETY: `main` runs once, before anything else, and calls this once.
        let parts = unsafe { board::take() };
        let identity = Identity { board: board::NAME, firmware: env!("CARGO_PKG_VERSION") };
        let mut device = Device::new(identity, parts.serial, parts.flash, parts.clock, Integers, parts.buffers);
        loop {
            if device.poll() == Activity::Idle {
                board::idle(device.serial());
            }
        }
    }

    /// There is nobody to format a message for, and the text would be larger than the rest: stand still, where a
    /// debugger finds the place.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        board::halt()
    }
}

/// Built for a computer there is no board: a way for `cargo check --workspace` to pass, nothing more.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware; build it with `nickeldime firmware build --board qemu-m4`");
}
