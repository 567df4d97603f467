//! A flash made of RAM.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use super::MappedFlash;

/// NOR flash made of RAM: erasing sets bits, writing only clears them, and alignment is checked. The emulated boards,
/// the in-process board and the tests use it.
pub struct RamFlash<B, const WORD: usize = 4, const SECTOR: usize = 4096> {
    bytes: B,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> RamFlash<B, WORD, SECTOR> {
    /// A flash with these contents. `bytes` must start at a multiple of 4 in memory.
    pub fn new(bytes: B) -> Self {
        Self { bytes }
    }

    /// A factory-fresh flash: all bits are ones.
    pub fn erased(mut bytes: B) -> Self {
        bytes.as_mut().fill(0xFF);
        Self { bytes }
    }

    /// The contents, for changes that no flash could make.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut()
    }

    /// Returns the RAM that holds the contents.
    pub fn release(self) -> B {
        self.bytes
    }
}

impl<B, const WORD: usize, const SECTOR: usize> ErrorType for RamFlash<B, WORD, SECTOR> {
    type Error = NorFlashErrorKind;
}

impl<B: AsRef<[u8]>, const WORD: usize, const SECTOR: usize> ReadNorFlash for RamFlash<B, WORD, SECTOR> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let end = (offset as usize).checked_add(bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
        let stored = self.bytes.as_ref().get(offset as usize..end).ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(stored);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.as_ref().len()
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> NorFlash for RamFlash<B, WORD, SECTOR> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let (from, to) = (from as usize, to as usize);
        if !from.is_multiple_of(SECTOR) || !to.is_multiple_of(SECTOR) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        self.bytes.as_mut().get_mut(from..to).ok_or(NorFlashErrorKind::OutOfBounds)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let from = offset as usize;
        if !from.is_multiple_of(WORD) || !bytes.len().is_multiple_of(WORD) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        let to = from.checked_add(bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
        let stored = self.bytes.as_mut().get_mut(from..to).ok_or(NorFlashErrorKind::OutOfBounds)?;
        for (bit, new) in stored.iter_mut().zip(bytes) {
            *bit &= new;
        }
        Ok(())
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> MappedFlash for RamFlash<B, WORD, SECTOR> {
    fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}
