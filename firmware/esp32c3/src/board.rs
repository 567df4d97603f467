//! `esp32c3`: any board with an ESP32-C3 and 4 MB of flash (RV32IMC, 160 MHz): the chip's USB serial port, packs in the flash
//! that the program runs from.

use embedded_io::{ErrorType, Read, ReadReady, Write};
use esp_hal::Blocking;
use esp_hal::clock::CpuClock;
use esp_hal::time::{Duration, Instant};
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;
use nickeldime_core::device::Clock;
use nickeldime_firmware::flash::Mapped;
use nickeldime_firmware::screen::NoScreen;
use nickeldime_firmware::sizes::{ESP32C3 as SIZES, Sizes};
use nickeldime_firmware::{Board, Parts, memory};

use crate::flash::EspFlash;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// Time after which a computer that takes no bytes counts as gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// The board.
pub struct Esp32C3;

impl Board for Esp32C3 {
    const SIZES: Sizes = SIZES;

    type Serial = Serial;
    type Flash = Mapped<EspFlash>;
    type Clock = Micros;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
        let serial = Serial { port: UsbSerialJtag::new(chip.USB_DEVICE), next: None };
        // SAFETY: the caller calls this once.
        let (flash, buffers) = unsafe { (Mapped(EspFlash::new()), MEMORY.take(&SIZES)) };
        Parts { serial, flash, clock: Micros, screen: NoScreen, buffers }
    }

    fn restart() -> ! {
        esp_hal::system::software_reset()
    }
}

/// The chip's USB serial port.
pub struct Serial {
    port: UsbSerialJtag<'static, Blocking>,
    /// A byte that was taken to see whether there is one.
    next: Option<u8>,
}

impl ErrorType for Serial {
    type Error = embedded_io::ErrorKind;
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        if self.next.is_none() {
            self.next = self.port.read_byte().ok();
        }
        Ok(self.next.is_some())
    }
}

impl Read for Serial {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let mut taken = 0;
        for place in buf.iter_mut() {
            let Some(byte) = self.next.take().or_else(|| self.port.read_byte().ok()) else { break };
            *place = byte;
            taken += 1;
        }
        Ok(taken)
    }
}

impl Write for Serial {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        let start = Instant::now();
        for (sent, &byte) in buf.iter().enumerate() {
            while self.port.write_byte_nb(byte).is_err() {
                if sent > 0 {
                    return Ok(sent);
                }
                if start.elapsed() > PATIENCE {
                    return Err(embedded_io::ErrorKind::TimedOut);
                }
            }
        }
        // What is left in the packet goes out with the next turn of the bus.
        let _ = self.port.flush_tx_nb();
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        let _ = self.port.flush_tx_nb();
        Ok(())
    }
}

/// Counts microseconds since the start.
pub struct Micros;

impl Clock for Micros {
    const HZ: u32 = 1_000_000;

    fn now(&mut self) -> u64 {
        Instant::now().duration_since_epoch().as_micros()
    }
}
