//! A flash for tests that loses power.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use super::{MappedFlash, RamFlash};

/// A [`RamFlash`] whose power fails at the n-th operation, a sector erased or a word written. That sector or word is
/// left torn, with some of its bits changed and some not, and every later operation fails until power is restored.
pub struct FailingFlash<B, const WORD: usize = 4, const SECTOR: usize = 4096> {
    flash: RamFlash<B, WORD, SECTOR>,
    left: Option<u32>,
    operations: u32,
    noise: u32,
}

/// The error of an operation without power or with a wrong address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLost;

impl NorFlashError for PowerLost {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> FailingFlash<B, WORD, SECTOR> {
    /// A flash with power.
    pub fn new(flash: RamFlash<B, WORD, SECTOR>) -> Self {
        Self { flash, left: None, operations: 0, noise: 1 }
    }

    /// Makes power fail during the `n`-th operation from now on (1 is the next one). `seed` decides which bits are torn.
    pub fn lose_power_at(&mut self, n: u32, seed: u32) {
        (self.left, self.noise) = (Some(n), seed);
    }

    /// Restores power for good.
    pub fn restore(&mut self) {
        self.left = None;
    }

    /// True if power has failed.
    pub fn is_dead(&self) -> bool {
        self.left == Some(0)
    }

    /// Number of sectors erased and words written so far.
    pub fn operations(&self) -> u32 {
        self.operations
    }

    /// Returns the flash without the simulated supply.
    pub fn release(self) -> RamFlash<B, WORD, SECTOR> {
        self.flash
    }

    /// Counts one operation. Returns true if power lasts through it and false if it fails during it; an error if there
    /// was no power before it.
    fn operate(&mut self) -> Result<bool, PowerLost> {
        match &mut self.left {
            Some(0) => return Err(PowerLost),
            Some(left) => *left -= 1,
            None => {}
        }
        self.operations = self.operations.wrapping_add(1);
        Ok(!self.is_dead())
    }

    fn random(&mut self) -> u8 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.noise >> 24) as u8
    }
}

impl<B, const WORD: usize, const SECTOR: usize> ErrorType for FailingFlash<B, WORD, SECTOR> {
    type Error = PowerLost;
}

impl<B: AsRef<[u8]>, const WORD: usize, const SECTOR: usize> ReadNorFlash for FailingFlash<B, WORD, SECTOR> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerLost> {
        self.flash.read(offset, bytes).map_err(|_| PowerLost)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> NorFlash for FailingFlash<B, WORD, SECTOR> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerLost> {
        for at in (from..to).step_by(SECTOR) {
            if self.operate()? {
                self.flash.erase(at, at + SECTOR as u32).map_err(|_| PowerLost)?;
                continue;
            }
            for place in at as usize..at as usize + SECTOR {
                // More and more of it is erased, all of a byte or some of its bits.
                let set = self.random() | self.random();
                if let Some(byte) = self.flash.bytes_mut().get_mut(place) {
                    *byte |= set;
                }
            }
            return Err(PowerLost);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerLost> {
        for (index, word) in bytes.chunks(WORD).enumerate() {
            let at = offset + (index * WORD) as u32;
            if self.operate()? {
                self.flash.write(at, word).map_err(|_| PowerLost)?;
                continue;
            }
            for (place, byte) in (at as usize..).zip(word) {
                let unwritten = self.random();
                if let Some(stored) = self.flash.bytes_mut().get_mut(place) {
                    *stored &= byte | unwritten;
                }
            }
            return Err(PowerLost);
        }
        Ok(())
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WORD: usize, const SECTOR: usize> MappedFlash
    for FailingFlash<B, WORD, SECTOR>
{
    fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }
}
