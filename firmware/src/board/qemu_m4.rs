//! `qemu-m4`: QEMU's `mps2-an386`, a Cortex-M4F with CMSDK peripherals, 25 MHz.
//!
//! The chip has no flash that firmware could write; 16 MB of its RAM stand in for it.

use cortex_m::peripheral::{NVIC, SCB};
use nickeldime_core::device::Clock;
use nickeldime_core::storage::RamFlash;

use super::polled_uart::{Polled, Registers};
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
        Parts { serial: Polled(Uart::start()), flash, clock: Timer::start(), screen: NoScreen, buffers }
    }

    /// At once, and not after a while of looking: every look takes a lock that the emulator needs to bring the next byte
    /// (50 kB/s this way, 15 to 20 the other).
    fn idle(serial: &mut Polled<Uart>) {
        serial.0.sleep();
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// CMSDK UART 0, polled; its receive interrupt only ends the sleep and is never taken.
pub struct Uart(());

impl Uart {
    const DATA: usize = 0x00;
    const STATE: usize = 0x04;
    const CTRL: usize = 0x08;
    const INTCLEAR: usize = 0x0C;
    const BAUDDIV: usize = 0x10;

    const TX_FULL: u32 = 1 << 0;
    const RX_FULL: u32 = 1 << 1;
    const TX_ENABLE: u32 = 1 << 0;
    const RX_ENABLE: u32 = 1 << 1;
    const RX_INTERRUPT: u32 = 1 << 3;
    const RX_PENDING: u32 = 1 << 1;

    fn start() -> Self {
        // Interrupts stay masked: a pending one wakes the core all the same.
        cortex_m::interrupt::disable();
        // The smallest divider that the model takes; it sends at once whatever the rate.
        UART.write(Self::BAUDDIV, 16);
        UART.write(Self::CTRL, Self::TX_ENABLE | Self::RX_ENABLE | Self::RX_INTERRUPT);
        // SAFETY: with interrupts masked an enabled one runs no code; no critical section relies on this mask.
        unsafe { NVIC::unmask(UartReceive) };
        Self(())
    }

    fn sleep(&mut self) {
        UART.write(Self::INTCLEAR, Self::RX_PENDING);
        NVIC::unpend(UartReceive);
        // A byte that came before these two lines is still in the register, one that comes after is pending again.
        if !self.has_byte() {
            cortex_m::asm::wfi();
        }
    }
}

/// Interrupt 0 of the AN386: UART 0 received a byte.
#[derive(Clone, Copy)]
struct UartReceive;

// SAFETY: number 0 is an interrupt of this chip, and the only one that has this type.
unsafe impl cortex_m::interrupt::InterruptNumber for UartReceive {
    fn number(self) -> u16 {
        0
    }
}

impl Registers for Uart {
    fn has_byte(&self) -> bool {
        UART.read(Self::STATE) & Self::RX_FULL != 0
    }

    fn receive(&self) -> u8 {
        UART.read(Self::DATA) as u8
    }

    fn is_full(&self) -> bool {
        UART.read(Self::STATE) & Self::TX_FULL != 0
    }

    fn send(&self, byte: u8) {
        UART.write(Self::DATA, u32::from(byte));
    }
}

/// CMSDK timer 0, counting down at the core's clock. It wraps after 171 seconds; read at every row, it is not missed.
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

    fn now(&mut self) -> u64 {
        let left = TIMER.read(Self::VALUE);
        self.passed += u64::from(self.last.wrapping_sub(left));
        self.last = left;
        self.passed
    }
}
