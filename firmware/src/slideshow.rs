//! Shows images of the board's own on its display while no host asks for any.

use embedded_io::{Read, ReadReady, Write};
use nickeldime_core::device::{Clock, Device, Engine};
use nickeldime_core::storage::MappedFlash;

/// The pause after the last request, in seconds.
const AWAY: u64 = 10;
/// The time from one image to the next, in seconds.
const EACH: u64 = 4;
/// Truncation psi of the images: 0.7 in Q14.
const PSI: i16 = 11_469;

/// The slideshow: the seed of the next image, and the time at which it is due.
#[derive(Debug, Default)]
pub struct Slideshow {
    seed: u64,
    due: u64,
}

impl Slideshow {
    /// Draws the next image if it is due. The engine shows its rows; a request from the host interrupts the drawing.
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

    /// Postpones the next image, because the host has sent a request.
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
