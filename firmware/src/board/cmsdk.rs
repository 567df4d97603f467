//! The UART of Arm's Cortex-M System Design Kit, which QEMU's MPS2 and MPS3 boards have.

use cortex_m::peripheral::NVIC;

use super::polled_uart::Registers;
use crate::register::Peripheral;

/// A polled UART. Its receive interrupt only ends the core's sleep and is never taken.
pub struct Uart {
    registers: Peripheral,
    receive: Interrupt,
}

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

    /// Starts a UART whose receive interrupt has the number `receive`.
    ///
    /// # Safety
    /// The chip has such a UART at this address, and nothing else uses it.
    pub unsafe fn start(registers: Peripheral, receive: u16) -> Self {
        let receive = Interrupt(receive);
        // Interrupts stay masked: a pending one wakes the core even so.
        cortex_m::interrupt::disable();
        // The smallest divider that the model accepts; it sends at once at any rate.
        registers.write(Self::BAUDDIV, 16);
        registers.write(Self::CTRL, Self::TX_ENABLE | Self::RX_ENABLE | Self::RX_INTERRUPT);
        // SAFETY: with interrupts masked an enabled one runs no code; no critical section relies on this mask.
        unsafe { NVIC::unmask(receive) };
        Self { registers, receive }
    }

    /// Sleeps until a byte arrives, unless one has arrived already.
    pub fn sleep(&mut self) {
        self.registers.write(Self::INTCLEAR, Self::RX_PENDING);
        NVIC::unpend(self.receive);
        // A byte that arrived before these two lines is still in the register; one that arrives later makes the
        // interrupt pending again.
        if !self.has_byte() {
            cortex_m::asm::wfi();
        }
    }
}

/// The interrupt of a received byte.
#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: `Uart::start` was promised that the number is an interrupt of this chip; nothing else makes one.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

impl Registers for Uart {
    fn has_byte(&self) -> bool {
        self.registers.read(Self::STATE) & Self::RX_FULL != 0
    }

    fn receive(&self) -> u8 {
        self.registers.read(Self::DATA) as u8
    }

    fn is_full(&self) -> bool {
        self.registers.read(Self::STATE) & Self::TX_FULL != 0
    }

    fn send(&self, byte: u8) {
        self.registers.write(Self::DATA, u32::from(byte));
    }
}
