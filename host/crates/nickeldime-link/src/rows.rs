//! An image while its rows arrive, from a board that may say anything.

/// The rows that have arrived, in order and without gaps.
pub(super) struct Rows {
    resolution: usize,
    /// Bytes of a pixel.
    channels: usize,
    pixels: Vec<u8>,
}

/// What a piece of a row was.
pub(super) enum Taken<'r> {
    /// The next piece; its row is not whole yet.
    Piece,
    /// The last piece of this row.
    Row(&'r [u8]),
    /// Not the next piece: something got lost, or this is no image of that size.
    Gap,
}

impl Rows {
    /// Of an image so wide and high; the caller has limited it.
    pub fn new(resolution: usize, channels: usize) -> Self {
        Self { resolution, channels, pixels: Vec::with_capacity(channels * resolution * resolution) }
    }

    /// Takes the piece of row `y` that begins at pixel `x`. Every piece that is taken brings the image further, so there
    /// are at most as many as pixels.
    pub fn take(&mut self, y: usize, x: usize, piece: &[u8]) -> Taken<'_> {
        let stride = self.channels * self.resolution;
        let (begin, end) = (stride * y, stride * (y + 1));
        let next = begin + self.channels * x == self.pixels.len() && self.pixels.len() + piece.len() <= end;
        if y >= self.resolution || piece.is_empty() || !next {
            return Taken::Gap;
        }
        self.pixels.extend_from_slice(piece);
        if self.pixels.len() == end { Taken::Row(&self.pixels[begin..]) } else { Taken::Piece }
    }

    /// The image, when all of it is there.
    pub fn whole(self) -> Option<Vec<u8>> {
        (self.pixels.len() == self.channels * self.resolution * self.resolution).then_some(self.pixels)
    }
}
