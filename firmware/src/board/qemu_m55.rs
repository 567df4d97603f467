//! `qemu-m55`: QEMU's `mps3-an547`, a Cortex-M55 with Helium in Arm's SSE-300 subsystem, 32 MHz.
//!
//! The firmware runs in the secure state, which the chip starts in. 16 MB of its DDR memory stand in for flash.

use cortex_m::peripheral::SCB;
use nickeldime_core::device::Clock;
use nickeldime_core::storage::RamFlash;

use super::cmsdk::Uart;
use super::polled_uart::Polled;
use super::{Board, Parts};
use crate::memory;
use crate::register::Peripheral;
use crate::screen::NoScreen;
use crate::sizes::{QEMU_M55 as SIZES, Sizes};

// SAFETY: UART 0 and the system counter's control frame at their secure addresses; only this file uses them.
const UART: Peripheral = unsafe { Peripheral::at(0x5930_3000) };
// SAFETY: as above.
const COUNTER: Peripheral = unsafe { Peripheral::at(0x5810_0000) };
/// UART 0's receive interrupt.
const UART_RECEIVE: u16 = 33;
/// The DDR memory's secure address.
const STORAGE: usize = 0x7000_0000;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct QemuM55;

impl Board for QemuM55 {
    const SIZES: Sizes = SIZES;

    type Serial = Polled<Uart>;
    type Flash = RamFlash<&'static mut [u8], 4, { SIZES.sector as usize }>;
    type Clock = Counter;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once; the memory at this address is larger, and the linker knows nothing of it
        // (qemu_m55.x).
        let (buffers, flash) = unsafe { (MEMORY.take(&SIZES), memory::ram_flash(STORAGE, SIZES.storage as usize)) };
        // SAFETY: as above, and the numbers are this chip's.
        let serial = unsafe { Uart::start(UART, UART_RECEIVE) };
        Parts { serial: Polled(serial), flash, clock: Counter::start(), screen: NoScreen, buffers }
    }

    /// Sleeps at once, as on `qemu-m4`.
    fn idle(serial: &mut Polled<Uart>) {
        serial.0.sleep();
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// The SSE-300's system counter: 64 bits at the core's clock.
pub struct Counter(());

impl Counter {
    const CONTROL: usize = 0x0;
    const LOW: usize = 0x8;
    const HIGH: usize = 0xC;

    fn start() -> Self {
        COUNTER.write(Self::CONTROL, 1);
        Self(())
    }
}

impl Clock for Counter {
    const HZ: u32 = SIZES.clock_hz;
    const COUNTS_INSTRUCTIONS: bool = cfg!(feature = "counted");

    fn now(&mut self) -> u64 {
        loop {
            let high = COUNTER.read(Self::HIGH);
            let low = COUNTER.read(Self::LOW);
            // The lower word did not overflow between the two reads.
            if COUNTER.read(Self::HIGH) == high {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }
}
