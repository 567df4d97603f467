//! Flash that appears in memory, in the form that the storage of packs needs.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use nickeldime_core::storage::MappedFlash;

/// The operations of a chip's flash. [`Mapped`] checks every range before it calls these functions.
pub trait RawFlash {
    /// Bytes that are written at once.
    const WRITE_SIZE: usize;
    /// Bytes of a sector, which is erased at once.
    const ERASE_SIZE: usize;

    /// The flash as it appears in memory, aligned to 4 bytes. Only the two methods below change it.
    fn bytes(&self) -> &[u8];

    /// Erases the sectors from `from` up to `to`, both multiples of `ERASE_SIZE` within the flash.
    ///
    /// # Errors
    /// The error that the flash controller reports.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind>;

    /// Writes `bytes` at `offset`: both are multiples of `WRITE_SIZE`, and the range lies within the flash.
    ///
    /// # Errors
    /// The error that the flash controller reports.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind>;
}

/// A [`RawFlash`] whose ranges are checked, for the storage of packs.
pub struct Mapped<F>(pub F);

impl<F> ErrorType for Mapped<F> {
    type Error = NorFlashErrorKind;
}

impl<F: RawFlash> ReadNorFlash for Mapped<F> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.0.bytes()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.bytes().len()
    }
}

impl<F: RawFlash> NorFlash for Mapped<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.0.write(offset, bytes)
    }
}

impl<F: RawFlash> MappedFlash for Mapped<F> {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}
