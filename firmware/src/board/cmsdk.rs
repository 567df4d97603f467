//! The UART of Arm's Cortex-M System Design Kit, which QEMU's MPS2 and MPS3 boards have.

use core::convert::Infallible;

use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::register::Peripheral;

/// A UART, polled; its receive interrupt only ends the sleep and is never taken.
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
    /// The chip has such a UART there, and nothing else uses it.
    pub unsafe fn start(registers: Peripheral, receive: u16) -> Self {
        let receive = Interrupt(receive);
        // Interrupts stay masked: a pending one wakes the core all the same.
        cortex_m::interrupt::disable();
        // The smallest divider that the model takes; it sends at once whatever the rate.
        registers.write(Self::BAUDDIV, 16);
        registers.write(Self::CTRL, Self::TX_ENABLE | Self::RX_ENABLE | Self::RX_INTERRUPT);
        // SAFETY: with interrupts masked an enabled one runs no code; no critical section relies on this mask.
        unsafe { NVIC::unmask(receive) };
        Self { registers, receive }
    }

    fn has_byte(&self) -> bool {
        self.registers.read(Self::STATE) & Self::RX_FULL != 0
    }

    /// Sleeps until a byte arrives, unless one has arrived already.
    pub fn sleep(&mut self) {
        self.registers.write(Self::INTCLEAR, Self::RX_PENDING);
        NVIC::unpend(self.receive);
        // A byte that came before these two lines is still in the register, one that comes after is pending again.
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

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.has_byte())
    }
}

impl Read for Uart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let Some(place) = buf.first_mut() else { return Ok(0) };
        while !self.has_byte() {}
        *place = self.registers.read(Self::DATA) as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        for &byte in buf {
            while self.registers.read(Self::STATE) & Self::TX_FULL != 0 {}
            self.registers.write(Self::DATA, u32::from(byte));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
