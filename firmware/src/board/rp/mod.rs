//! What the boards with a chip of Raspberry Pi share: USB, the flash behind the boot ROM, the watchdog and the lamp.

pub mod flash;
pub mod lamp;
pub mod usb;
pub mod watchdog;

#[cfg(feature = "pico2")]
pub use rp235x_hal as hal;
#[cfg(feature = "pico")]
pub use rp2040_hal as hal;
