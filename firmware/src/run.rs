//! The program of every board: hands the board's parts to the state machine of `nickeldime-core` and keeps it going.

use nickeldime_core::device::{Activity, Device, Identity};

use crate::Board;
use crate::crash_note;
use crate::engine::BoardEngine;
use crate::screen::Screen;
use crate::slideshow::Slideshow;

/// Serves requests on the board `B` and never returns.
///
/// # Safety
/// Called once, as the first thing that the program does: it takes the board's parts and the note of the last crash.
pub unsafe fn run<B: Board>() -> ! {
    // SAFETY: the caller's promise.
    let (parts, note) = unsafe { (B::take(), crash_note::load()) };
    #[cfg(feature = "panic-once")]
    assert!(note.is_some());
    let restart = note.or_else(|| B::reset_by_watchdog().then_some("its watchdog"));
    let identity =
        Identity { board: B::SIZES.name, firmware: env!("CARGO_PKG_VERSION"), restart, trust: crate::trust::TRUST };
    let engine = BoardEngine::<B>::new(parts.screen);
    let mut device = Device::new(identity, parts.serial, parts.flash, parts.clock, engine, parts.buffers);
    let mut slideshow = Slideshow::default();
    loop {
        B::feed_watchdog();
        match device.poll() {
            Activity::Idle if B::Screen::PRESENT => slideshow.tick(&mut device),
            Activity::Idle => B::idle(device.serial()),
            Activity::Busy => slideshow.postpone(&mut device),
        }
    }
}

/// Ends a program that panicked: stores where it was for the next hello and restarts the board. Formatting the panic's
/// message would add a tenth to the firmware, and nobody could read it.
///
/// # Safety
/// Called by the panic handler, after which nothing else runs.
#[inline(always)]
pub unsafe fn restart_after_panic<B: Board>() -> ! {
    // SAFETY: the caller's promise.
    unsafe { crash_note::store() };
    B::restart()
}
