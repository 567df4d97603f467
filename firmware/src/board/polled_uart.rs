//! A UART that is polled by its flags, for chips that hold received bytes back until they are read.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};

/// The four things that a polled UART does.
pub trait Registers {
    /// Returns true if a received byte waits.
    fn has_byte(&self) -> bool;

    /// Takes the received byte that waits.
    fn receive(&self) -> u8;

    /// Returns true if there is no room for another byte to send.
    fn is_full(&self) -> bool;

    /// Sends a byte; there is room for it.
    fn send(&self, byte: u8);
}

/// The serial line of a polled UART.
pub struct Polled<R>(pub R);

impl<R> ErrorType for Polled<R> {
    type Error = Infallible;
}

impl<R: Registers> ReadReady for Polled<R> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.has_byte())
    }
}

impl<R: Registers> Read for Polled<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let Some(place) = buf.first_mut() else { return Ok(0) };
        while !self.0.has_byte() {}
        *place = self.0.receive();
        Ok(1)
    }
}

impl<R: Registers> Write for Polled<R> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        for &byte in buf {
            while self.0.is_full() {}
            self.0.send(byte);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
