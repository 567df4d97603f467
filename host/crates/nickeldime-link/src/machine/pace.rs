//! The quality of a line: the best length of an image's pieces on it, and the length of its silences.

use core::time::Duration;

/// Bytes of a piece's frame beside its pixels: direction, id, variant, y, x, length, checksum, COBS.
const FRAME: u64 = 17;
/// Pieces have at least so many bytes of pixels, however bad the line.
const LEAST: u64 = 18;
/// Without news for so long, the board is asked how it is. Four times the longest silence so far, within these.
const SHORTEST: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(2);

/// The quality of a line, as earlier images have shown it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Most bytes of pixels in a piece; 0 for as many as a reply holds.
    pub piece: u16,
    /// The longest silence before a row; nothing before the first image.
    slowest: Option<Duration>,
}

impl Pace {
    pub const NEW: Self = Self { piece: 0, slowest: None };

    /// Without news for so long something is amiss.
    pub fn quiet(&self) -> Duration {
        self.slowest.map_or(LONGEST, |slowest| (4 * slowest).clamp(SHORTEST, LONGEST))
    }

    /// A row came after so long a silence.
    pub fn heard_after(&mut self, silence: Duration) {
        self.slowest = Some(self.slowest.unwrap_or_default().max(silence));
    }

    /// After an image: pieces get longer on a clean line, and as short as its losses want them on another.
    pub fn learn(&mut self, losses: Losses, most: u16) {
        self.piece = match losses.wanted(self.bytes(most)) {
            Some(bytes) => bytes.min(most),
            None => self.bytes(most).saturating_mul(2).min(most),
        };
    }

    /// Bytes of pixels in a piece, where a reply holds `most`.
    pub fn bytes(&self, most: u16) -> u16 {
        if self.piece == 0 { most } else { self.piece.min(most) }
    }
}

/// Pieces that came and pieces that did not.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Losses {
    pub sent: u32,
    pub lost: u32,
}

impl Losses {
    /// The length of a piece, in bytes of pixels, that costs least on a line which loses so many of `bytes`; nothing where
    /// nothing was lost.
    ///
    /// With a share q of the bytes damaged, a pixel byte costs `(1 + FRAME / n) / (1 - q)^(n + FRAME)`, which is least near
    /// `n = sqrt(FRAME / q)`.
    pub fn wanted(&self, bytes: u16) -> Option<u16> {
        if self.lost == 0 {
            return None;
        }
        let per_loss = u64::from(self.sent) * (u64::from(bytes) + FRAME) / u64::from(self.lost);
        Some(u16::try_from((FRAME * per_loss).isqrt().max(LEAST)).unwrap_or(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_short_as_the_losses_want_them() {
        // 9 bytes in 10,000 are damaged: frames of 1000 bytes are lost 59 times in 100, 137 bytes are best.
        let wanted = Losses { sent: 100, lost: 59 }.wanted(983).expect("there are losses");
        assert!((110..=200).contains(&wanted), "{wanted}");
        let wanted = Losses { sent: 1000, lost: 130 }.wanted(137).expect("there are losses");
        assert!((110..=160).contains(&wanted), "{wanted}");
        assert_eq!(Losses { sent: 10, lost: 0 }.wanted(100), None);
        let mut pace = Pace::NEW;
        pace.learn(Losses { sent: 10, lost: 10 }, 900);
        assert!(pace.bytes(900) < 150);
        for _ in 0..4 {
            pace.learn(Losses { sent: 10, lost: 0 }, 900);
        }
        assert_eq!(pace.bytes(900), 900);
    }
}
