//! The nickeldime device: hands a board's parts to the state machine of `nickeldime-core` and keeps it going.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod run {
    use nickeldime_core::device::{Activity, Device, Identity};
    use nickeldime_firmware::Board;
    use nickeldime_firmware::board::{self, Here};
    use nickeldime_firmware::lamp::Lamp;

    #[board::entry]
    fn main() -> ! {
        // SAFETY: `main` runs once, before anything else, and calls this once.
        let parts = unsafe { Here::take() };
        let identity = Identity { board: Here::SIZES.name, firmware: env!("CARGO_PKG_VERSION") };
        let engine = Lamp::<Here>::default();
        let mut device = Device::new(identity, parts.serial, parts.flash, parts.clock, engine, parts.buffers);
        loop {
            Here::feed();
            if device.poll() == Activity::Idle {
                Here::idle(device.serial());
            }
        }
    }

    /// There is nobody to format a message for, and the text would be larger than the rest: start anew.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        Here::restart()
    }
}

/// Built for a computer there is no board: a way for `cargo check --workspace` to pass, nothing more.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware; build it with `nickeldime firmware build --board qemu-m4`");
}
