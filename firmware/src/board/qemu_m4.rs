//! `qemu-m4`: QEMU's `mps2-an386`, a Cortex-M4F with CMSDK peripherals at 25 MHz.
//!
//! The chip has no flash that firmware could write, so 16 MB of its RAM stand in for it.

use cortex_m::peripheral::SCB;
use nickeldime_core::device::Clock;
use nickeldime_core::storage::RamFlash;

use super::cmsdk::Uart;
use super::polled_uart::Polled;
use super::{Board, Parts};
use crate::memory;
use crate::register::Peripheral;
use crate::screen::NoScreen;
use crate::sizes::{QEMU_M4 as SIZES, Sizes};

// SAFETY: UART 0 and timer 0 of the AN386; only the types below touch them.
const UART: Peripheral = unsafe { Peripheral::at(0x4000_4000) };
// SAFETY: as above.
const TIMER: Peripheral = unsafe { Peripheral::at(0x4000_0000) };
const STORAGE: usize = 0x2100_0000;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct QemuM4;

impl Board for QemuM4 {
    const SIZES: Sizes = SIZES;

    type Serial = Polled<Uart>;
    type Flash = RamFlash<&'static mut [u8], 4, { SIZES.sector as usize }>;
    type Clock = Timer;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once; 16 MB of RAM are at this address, and the linker knows nothing of them
        // (qemu_m4.x).
        let (buffers, flash) = unsafe { (MEMORY.take(&SIZES), memory::ram_flash(STORAGE, SIZES.storage as usize)) };
        // SAFETY: UART 0 of this chip, whose receive interrupt is the first; the caller calls this once.
        let serial = unsafe { Uart::start(UART, 0) };
        Parts { serial: Polled(serial), flash, clock: Timer::start(), screen: NoScreen, buffers }
    }

    /// Sleeps at once instead of polling first. Every poll takes a lock that the emulator needs to deliver the next byte
    /// (50 kB/s this way, 15 to 20 the other).
    fn idle(serial: &mut Polled<Uart>) {
        serial.0.sleep();
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// CMSDK timer 0, which counts down at the core's clock. It wraps after 171 seconds; it is read at every row, so no wrap
/// is missed.
pub struct Timer {
    passed: u64,
    last: u32,
}

impl Timer {
    const CTRL: usize = 0x0;
    const VALUE: usize = 0x4;
    const RELOAD: usize = 0x8;

    fn start() -> Self {
        TIMER.write(Self::RELOAD, u32::MAX);
        TIMER.write(Self::VALUE, u32::MAX);
        TIMER.write(Self::CTRL, 1);
        Self { passed: 0, last: u32::MAX }
    }
}

impl Clock for Timer {
    const HZ: u32 = SIZES.clock_hz;
    const COUNTS_INSTRUCTIONS: bool = cfg!(feature = "counted");

    fn now(&mut self) -> u64 {
        let left = TIMER.read(Self::VALUE);
        self.passed += u64::from(self.last.wrapping_sub(left));
        self.last = left;
        self.passed
    }
}
