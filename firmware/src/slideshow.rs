//! A board with a display and nobody who asks for images shows its own.

use embedded_io::{Read, ReadReady, Write};
use nickeldime_core::device::{Clock, Device, Engine};
use nickeldime_core::storage::MappedFlash;

/// After the last request: seconds.
const AWAY: u64 = 10;
/// From one image to the next: seconds.
const EACH: u64 = 4;
/// Truncation 0.7, Q14: pleasing more often than surprising.
const PSI: i16 = 11_469;

/// Which image comes next, and when.
#[derive(Debug, Default)]
pub struct Slideshow {
    seed: u64,
    due: u64,
}

impl Slideshow {
    /// Draws the next image when it is time. It shows where the engine shows its rows, and breaks off when a host speaks.
    pub fn tick<S, F, C, E>(&mut self, device: &mut Device<'_, S, F, C, E>)
    where
        S: Read + ReadReady + Write,
        F: MappedFlash,
        C: Clock,
        E: Engine,
    {
        if C::HZ == 0 || device.clock().now() < self.due {
            return;
        }
        if device.draw(self.seed, PSI).is_ok() {
            self.seed += 1;
        }
        self.after(EACH, device);
    }

    /// A host has asked for something.
    pub fn postpone<S, F, C, E>(&mut self, device: &mut Device<'_, S, F, C, E>)
    where
        S: Read + ReadReady + Write,
        F: MappedFlash,
        C: Clock,
        E: Engine,
    {
        self.after(AWAY, device);
    }

    fn after<S, F, C, E>(&mut self, seconds: u64, device: &mut Device<'_, S, F, C, E>)
    where
        S: Read + ReadReady + Write,
        F: MappedFlash,
        C: Clock,
        E: Engine,
    {
        self.due = device.clock().now() + seconds * u64::from(C::HZ);
    }
}
