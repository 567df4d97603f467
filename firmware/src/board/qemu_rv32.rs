//! `qemu-rv32`: QEMU's `virt` as an RV32IMAC, with an NS16550.
//!
//! 16 MB of its RAM stand in for flash.

use core::ptr;

use nickeldime_core::device::Clock;
use nickeldime_core::storage::RamFlash;

use super::polled_uart::{Polled, Registers};
use super::{Board, Parts};
use crate::memory;
use crate::register::Peripheral;
use crate::screen::NoScreen;
use crate::sizes::{QEMU_RV32 as SIZES, Sizes};

/// Address of the UART, whose registers are bytes.
const UART: usize = 0x1000_0000;
// SAFETY: the interrupt controller, the timer and the test device of this machine; only this file touches them.
const PLIC: Peripheral = unsafe { Peripheral::at(0x0C00_0000) };
// SAFETY: as above.
const MTIME: Peripheral = unsafe { Peripheral::at(0x0200_BFF8) };
// SAFETY: as above.
const TEST: Peripheral = unsafe { Peripheral::at(0x0010_0000) };
const STORAGE: usize = 0x8100_0000;

static MEMORY: memory!(SIZES) = <memory!(SIZES)>::new();

/// The board.
pub struct QemuRv32;

impl Board for QemuRv32 {
    const SIZES: Sizes = SIZES;

    type Serial = Polled<Uart>;
    type Flash = RamFlash<&'static mut [u8], 4, { SIZES.sector as usize }>;
    type Clock = Time;
    type Screen = NoScreen;

    unsafe fn take() -> Parts<Self> {
        // SAFETY: the caller calls this once; 16 MB of RAM are at this address, and the linker knows nothing of them
        // (qemu_rv32.x).
        let (buffers, flash) = unsafe { (MEMORY.take(&SIZES), memory::ram_flash(STORAGE, SIZES.storage as usize)) };
        Parts { serial: Polled(Uart::start()), flash, clock: Time, screen: NoScreen, buffers }
    }

    fn idle(serial: &mut Polled<Uart>) {
        serial.0.sleep();
    }

    fn restart() -> ! {
        const RESET: u32 = 0x7777;
        TEST.write(0, RESET);
        loop {
            riscv::asm::wfi();
        }
    }
}

/// The polled NS16550. Its receive interrupt only ends the core's sleep and is never taken.
pub struct Uart(());

impl Uart {
    const DATA: usize = 0;
    const INTERRUPTS: usize = 1;
    const FIFO: usize = 2;
    const LINE: usize = 3;
    const STATE: usize = 5;

    const RX_FULL: u8 = 1 << 0;
    const TX_EMPTY: u8 = 1 << 5;

    /// The UART's interrupt number, and the controller's registers for hart 0 in machine mode.
    const SOURCE: u32 = 10;
    const PRIORITY: usize = 4 * Self::SOURCE as usize;
    const ENABLE: usize = 0x2000;
    const THRESHOLD: usize = 0x20_0000;
    const CLAIM: usize = 0x20_0004;

    fn start() -> Self {
        let uart = Self(());
        const EIGHT_BITS: u8 = 3;
        uart.write_register(Self::LINE, EIGHT_BITS);
        uart.write_register(Self::FIFO, 1);
        uart.write_register(Self::INTERRUPTS, 1);
        PLIC.write(Self::PRIORITY, 1);
        PLIC.write(Self::ENABLE, 1 << Self::SOURCE);
        PLIC.write(Self::THRESHOLD, 0);
        // SAFETY: `mstatus` keeps all interrupts masked: an enabled one ends a sleep and runs no code.
        unsafe { riscv::register::mie::set_mext() };
        uart
    }

    fn sleep(&mut self) {
        if !self.has_byte() {
            riscv::asm::wfi();
        }
        // The controller passes on the next interrupt once this one is completed.
        match PLIC.read(Self::CLAIM) {
            0 => {}
            source => PLIC.write(Self::CLAIM, source),
        }
    }

    fn read_register(&self, offset: usize) -> u8 {
        // SAFETY: a register of the UART, which is on this machine and which only this type touches.
        unsafe { ptr::read_volatile((UART + offset) as *const u8) }
    }

    fn write_register(&self, offset: usize, value: u8) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile((UART + offset) as *mut u8, value) }
    }
}

impl Registers for Uart {
    fn has_byte(&self) -> bool {
        self.read_register(Self::STATE) & Self::RX_FULL != 0
    }

    fn receive(&self) -> u8 {
        self.read_register(Self::DATA)
    }

    fn is_full(&self) -> bool {
        self.read_register(Self::STATE) & Self::TX_EMPTY == 0
    }

    fn send(&self, byte: u8) {
        self.write_register(Self::DATA, byte);
    }
}

/// The machine's timer.
pub struct Time;

impl Clock for Time {
    const HZ: u32 = 10_000_000;
    const COUNTS_INSTRUCTIONS: bool = cfg!(feature = "counted");

    fn now(&mut self) -> u64 {
        loop {
            let (high, low) = (MTIME.read(4), MTIME.read(0));
            // The lower half may have wrapped between the two reads.
            if MTIME.read(4) == high {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }
}
