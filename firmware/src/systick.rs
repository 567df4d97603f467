//! A clock of milliseconds by SysTick, the timer of every Cortex-M.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use nickeldime_core::device::Clock;

static PASSED: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::exception]
fn SysTick() {
    // The only writer; a Cortex-M0 could not add in one step.
    PASSED.store(PASSED.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The clock. It loses time while interrupts are masked for longer than a millisecond.
pub struct Millis {
    last: u32,
    passed: u64,
}

impl Millis {
    /// Starts the clock on a core that runs at `clock_hz`.
    pub fn start(mut timer: SYST, clock_hz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(clock_hz / 1000 - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self { last: PASSED.load(Ordering::Relaxed), passed: 0 }
    }
}

impl Clock for Millis {
    const HZ: u32 = 1000;
    const COUNTS_INSTRUCTIONS: bool = cfg!(feature = "counted");

    fn now(&mut self) -> u64 {
        let now = PASSED.load(Ordering::Relaxed);
        self.passed += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.passed
    }
}
