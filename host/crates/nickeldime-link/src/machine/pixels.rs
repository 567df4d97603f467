//! An image while its pieces arrive, from a board that may say anything, in any order.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The pixels that have arrived.
pub(super) struct Pixels {
    /// Width and height.
    pub resolution: usize,
    /// Bytes of a pixel.
    pub channels: usize,
    bytes: Vec<u8>,
    there: Vec<bool>,
    /// The number of pixels that each row lacks.
    lacking: Vec<usize>,
}

impl Pixels {
    pub fn new(resolution: usize, channels: usize) -> Self {
        let pixels = resolution * resolution;
        Self {
            resolution,
            channels,
            bytes: vec![0; channels * pixels],
            there: vec![false; pixels],
            lacking: vec![resolution; resolution],
        }
    }

    /// Takes the piece of row `y` that begins at pixel `x`. True when it brought something new, with the row if it
    /// is whole now.
    pub fn take(&mut self, y: usize, x: usize, piece: &[u8]) -> (bool, Option<&[u8]>) {
        let width = piece.len() / self.channels;
        if y >= self.resolution
            || width == 0
            || !piece.len().is_multiple_of(self.channels)
            || x + width > self.resolution
        {
            return (false, None);
        }
        let first = y * self.resolution + x;
        let there = &mut self.there[first..first + width];
        let new = there.iter().filter(|there| !**there).count();
        if new == 0 {
            return (false, None);
        }
        there.fill(true);
        self.bytes[self.channels * first..][..piece.len()].copy_from_slice(piece);
        self.lacking[y] -= new;
        let row = self.channels * self.resolution;
        (true, (self.lacking[y] == 0).then(|| &self.bytes[row * y..][..row]))
    }

    /// Returns true if all pixels have arrived.
    pub fn is_whole(&self) -> bool {
        self.lacking.iter().all(|lacking| *lacking == 0)
    }

    /// Returns true if one of a run of pixels of row `y` is missing.
    fn lacks(&self, y: usize, run: Range<usize>) -> bool {
        let first = y * self.resolution;
        self.there[first + run.start..first + run.end].iter().any(|there| !there)
    }

    /// The numbers of the pieces of `width` pixels that lack something, in order.
    pub fn missing(&self, width: usize) -> impl Iterator<Item = usize> + '_ {
        let per_row = self.resolution.div_ceil(width);
        let rows = (0..self.resolution).filter(|y| self.lacking[*y] > 0);
        rows.flat_map(move |y| {
            let pieces = (0..per_row).filter(move |piece| {
                let x = piece * width;
                self.lacks(y, x..(x + width).min(self.resolution))
            });
            pieces.map(move |piece| y * per_row + piece)
        })
    }

    /// Forgets everything that has arrived.
    pub fn forget(&mut self) {
        self.there.fill(false);
        self.lacking.fill(self.resolution);
    }

    /// The bytes, those that are missing as 0.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, all of them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
