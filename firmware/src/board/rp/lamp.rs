//! The lamp on GPIO 25.

use super::hal::pac::SIO;

const LAMP: u32 = 1 << 25;

/// Lights the lamp, or puts it out. Its pin is an output already.
pub fn light(on: bool) {
    // SAFETY: these two registers set or clear one pin, which is nobody else's.
    unsafe {
        let sio = &*SIO::PTR;
        if on {
            sio.gpio_out_set().write(|w| w.bits(LAMP));
        } else {
            sio.gpio_out_clr().write(|w| w.bits(LAMP));
        }
    }
}
