//! Registers in memory, for boards without a crate of their chip.

use core::ptr;

/// A peripheral at an address.
#[derive(Clone, Copy)]
pub struct Peripheral(usize);

impl Peripheral {
    /// The peripheral at `base`.
    ///
    /// # Safety
    /// There is such a peripheral: its registers are 32 bits wide, and reading or writing them does not affect Rust's
    /// memory.
    pub const unsafe fn at(base: usize) -> Self {
        Self(base)
    }

    /// Reads the register at `offset`.
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: a register of the peripheral that `at` was promised.
        unsafe { ptr::read_volatile((self.0 + offset) as *const u32) }
    }

    /// Writes the register at `offset`.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile((self.0 + offset) as *mut u32, value) }
    }

    /// Replaces the bits of `mask` in the register at `offset`.
    pub fn modify(self, offset: usize, mask: u32, value: u32) {
        self.write(offset, self.read(offset) & !mask | value);
    }
}
