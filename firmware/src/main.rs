//! The nickeldime device: hands a board's parts to the state machine of `nickeldime-core` and keeps it going.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod run {
    use nickeldime_core::device::{Activity, Device, Identity};
    use nickeldime_firmware::Board;
    use nickeldime_firmware::board::{self, Here};
    use nickeldime_firmware::lamp::Lamp;
    use nickeldime_firmware::note;
    use nickeldime_firmware::screen::Screen;
    use nickeldime_firmware::standalone::Standalone;

    #[board::entry]
    fn main() -> ! {
        // SAFETY: `main` runs once, before anything else, and calls this once.
        let parts = unsafe { Here::take() };
        // SAFETY: as above; interrupts have nothing to do with it.
        let note = unsafe { note::take() };
        #[cfg(feature = "panic-once")]
        assert!(note.is_some());
        let restart = note.or_else(|| Here::starved().then_some("its watchdog"));
        let identity = Identity { board: Here::SIZES.name, firmware: env!("CARGO_PKG_VERSION"), restart, trusted: &[] };
        let engine = Lamp::<Here>::new(parts.screen);
        let mut device = Device::new(identity, parts.serial, parts.flash, parts.clock, engine, parts.buffers);
        let mut alone = Standalone::default();
        loop {
            Here::feed();
            match device.poll() {
                Activity::Idle if <Here as Board>::Screen::PRESENT => alone.look(&mut device),
                Activity::Idle => Here::idle(device.serial()),
                Activity::Busy => alone.not_now(&mut device),
            }
        }
    }

    /// There is nobody to format a message for, and the text would be larger than the rest: notes where it was, for the
    /// next hello, and starts anew.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: whatever ran has ended here.
        unsafe { note::keep() };
        Here::restart()
    }
}

/// Built for a computer there is no board: a way for `cargo check --workspace` to pass, nothing more.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware; build it with `nickeldime firmware build --board qemu-m4`");
}
