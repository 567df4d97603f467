//! `qemu-m0`: QEMU's `lm3s6965evb` with a Cortex-M0 instead of its Cortex-M3, without DSP and divider, with 64 kB of
//! RAM.
//!
//! Its flash controller is not emulated; 24 kB of its RAM stand in for flash.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SCB, SYST};
use nickeldime_core::device::Clock;
use nickeldime_core::storage::RamFlash;

use super::polled_uart::{Polled, Registers};
use super::{Board, Parts};
use crate::memory;
use crate::register::Peripheral;
use crate::screen::NoScreen;
use crate::sizes::{QEMU_M0 as SIZES, Sizes};

// SAFETY: UART 0 of the LM3S6965; only the type below touches it.
const UART: Peripheral = unsafe { Peripheral::at(0x4000_C000) };
const STORAGE: usize = 0x2000_A000;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct QemuM0;

impl Board for QemuM0 {
    const SIZES: Sizes = SIZES;

    type Serial = Polled<Uart>;
    type Flash = RamFlash<&'static mut [u8], 4, { SIZES.sector as usize }>;
    type Clock = Timer;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once; 24 kB of RAM are at this address, and the linker knows nothing of them
        // (qemu_m0.x).
        let (buffers, flash) = unsafe { (MEMORY.take(&SIZES), memory::ram_flash(STORAGE, SIZES.storage as usize)) };
        Parts { serial: Polled(Uart::start()), flash, clock: Timer::start(), screen: NoScreen, buffers }
    }

    fn idle(serial: &mut Polled<Uart>) {
        serial.0.sleep();
    }

    fn restart() -> ! {
        SCB::sys_reset()
    }
}

/// SysTick at the core's clock, which after a reset is a quarter of the fastest. Its 24 bits wrap after 1.3 seconds: longer
/// than a row takes.
pub struct Timer {
    passed: u64,
    last: u32,
}

impl Timer {
    const MOST: u32 = 0xFF_FFFF;

    fn start() -> Self {
        // SAFETY: only this type uses the timer.
        let mut timer = unsafe { cortex_m::Peripherals::steal() }.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(Self::MOST);
        timer.clear_current();
        timer.enable_counter();
        Self { passed: 0, last: 0 }
    }
}

impl Clock for Timer {
    const HZ: u32 = SIZES.clock_hz / 4;
    const COUNTS_INSTRUCTIONS: bool = cfg!(feature = "counted");

    fn now(&mut self) -> u64 {
        let left = SYST::get_current();
        self.passed += u64::from(self.last.wrapping_sub(left) & Self::MOST);
        self.last = left;
        self.passed
    }
}

/// A PL011, polled; its receive interrupt only ends the sleep and is never taken.
pub struct Uart(());

impl Uart {
    const DATA: usize = 0x00;
    const FLAGS: usize = 0x18;
    const LINE: usize = 0x2C;
    const CTRL: usize = 0x30;
    const MASK: usize = 0x38;

    const RX_EMPTY: u32 = 1 << 4;
    const TX_FULL: u32 = 1 << 5;
    const EIGHT_BITS_FIFO: u32 = 0x70;
    const ENABLE_BOTH: u32 = 0x301;
    const RX_INTERRUPT: u32 = 1 << 4;

    fn start() -> Self {
        // Interrupts stay masked: a pending one wakes the core even so.
        cortex_m::interrupt::disable();
        UART.write(Self::LINE, Self::EIGHT_BITS_FIFO);
        UART.write(Self::CTRL, Self::ENABLE_BOTH);
        UART.write(Self::MASK, Self::RX_INTERRUPT);
        // SAFETY: with interrupts masked an enabled one runs no code; no critical section relies on this mask.
        unsafe { NVIC::unmask(UartReceive) };
        Self(())
    }

    fn sleep(&mut self) {
        NVIC::unpend(UartReceive);
        if !self.has_byte() {
            cortex_m::asm::wfi();
        }
    }
}

/// Interrupt 5 of the LM3S6965, which belongs to UART 0.
#[derive(Clone, Copy)]
struct UartReceive;

// SAFETY: number 5 is an interrupt of this chip, and the only one that has this type.
unsafe impl cortex_m::interrupt::InterruptNumber for UartReceive {
    fn number(self) -> u16 {
        5
    }
}

impl Registers for Uart {
    fn has_byte(&self) -> bool {
        UART.read(Self::FLAGS) & Self::RX_EMPTY == 0
    }

    fn receive(&self) -> u8 {
        UART.read(Self::DATA) as u8
    }

    fn is_full(&self) -> bool {
        UART.read(Self::FLAGS) & Self::TX_FULL != 0
    }

    fn send(&self, byte: u8) {
        UART.write(Self::DATA, u32::from(byte));
    }
}
