//! The watchdog, and the tick that ends sleeps early enough to feed it.

use core::cell::RefCell;

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use critical_section::Mutex;

use super::hal::fugit::ExtU32;
use super::hal::{Watchdog, pac::WATCHDOG as Registers};

static WATCHDOG: Mutex<RefCell<Option<Watchdog>>> = Mutex::new(RefCell::new(None));

/// Starts the watchdog, on a core that runs at `clock_hz`. While no host talks, no interrupt of the USB ends the core's
/// sleep; a tick ten times a second does.
pub fn start(mut watchdog: Watchdog, mut tick: SYST, clock_hz: u32) {
    watchdog.start(8.secs());
    critical_section::with(|cs| WATCHDOG.replace(cs, Some(watchdog)));
    tick.set_clock_source(SystClkSource::Core);
    tick.set_reload(clock_hz / 10 - 1);
    tick.clear_current();
    tick.enable_interrupt();
    tick.enable_counter();
}

#[cortex_m_rt::exception]
fn SysTick() {}

/// Restarts the watchdog's count.
pub fn feed() {
    critical_section::with(|cs| {
        if let Some(watchdog) = WATCHDOG.borrow_ref(cs).as_ref() {
            watchdog.feed();
        }
    });
}

/// The mark of a run that nothing has ended yet.
const RUNS: u32 = 0x4E44_5255;

/// Returns true if the watchdog ended the last run. The boot ROM restarts by the watchdog too, and so does a panic: only a run
/// that was not ended by either has left its mark. Power-on clears it.
pub fn has_reset() -> bool {
    let reset = mark() == RUNS;
    set_mark(RUNS);
    reset
}

/// Notes that this run is about to end as it shall.
pub fn forget() {
    set_mark(0);
}

fn mark() -> u32 {
    // SAFETY: this register is the program's own, and keeps its value over a restart.
    unsafe { (*Registers::PTR).scratch0().read().bits() }
}

fn set_mark(value: u32) {
    // SAFETY: as above.
    unsafe { (*Registers::PTR).scratch0().write(|w| w.bits(value)) };
}
