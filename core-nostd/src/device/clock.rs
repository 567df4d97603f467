//! Time, as a device sees it.

/// A clock that counts up. It is read at every row at least, which lets a board extend a counter that wraps.
pub trait Clock {
    /// Ticks per second; 0 for no clock.
    const HZ: u32;
    /// Whether the time is an emulator's that counts instructions: each of them takes one nanosecond.
    const COUNTS_INSTRUCTIONS: bool = false;

    /// The time now.
    fn now(&mut self) -> u64;
}

/// No clock: every image takes no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    const HZ: u32 = 0;

    fn now(&mut self) -> u64 {
        0
    }
}
