//! The position of a walk through latent space.

use std::fmt;

use nickeldime_core::generator::{Join, Latent};

/// A walk from one seed to the next in w, or through two seeds mixed at a layer.
#[derive(Debug, Clone)]
pub struct Walk {
    seed: u64,
    psi: f32,
    /// The number of images between two seeds, and the number of this image.
    steps: u16,
    at: u16,
    /// The layer from which the next seed is mixed in; `None` for interpolation.
    mixed: bool,
    cut: u8,
    layers: u8,
    standing: bool,
}

impl Walk {
    /// A walk that begins at `seed`, for a model with images of this size.
    pub fn new(seed: u64, psi: f32, steps: u16, resolution: usize) -> Self {
        // b4 has one convolution, every further block two.
        let layers = (2 * resolution.ilog2()).saturating_sub(3) as u8;
        Self { seed, psi, steps, at: 0, mixed: false, cut: layers / 2, layers, standing: false }
    }

    /// The latent at this place of the walk.
    pub fn latent(&self) -> Latent<'static> {
        let seeds = [self.seed, self.seed.wrapping_add(1)];
        let join = if self.mixed { Join::Cut(self.cut) } else { Join::Weight(q14(self.part())) };
        Latent::Pair { seeds, join }
    }

    /// The truncation psi, in Q14.
    pub fn psi(&self) -> i16 {
        q14(self.psi)
    }

    /// The seed that the walk comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Takes a step; returns false if the walk stands still.
    pub fn step(&mut self) -> bool {
        if self.standing {
            return false;
        }
        self.at += 1;
        if self.at >= self.steps {
            self.go(1);
        }
        true
    }

    /// Jumps to another seed.
    pub fn go(&mut self, by: i64) {
        (self.seed, self.at) = (self.seed.wrapping_add_signed(by), 0);
    }

    /// Changes psi.
    pub fn turn(&mut self, by: f32) {
        self.psi = ((self.psi + by) * 10.0).round() / 10.0;
        self.psi = self.psi.clamp(-1.9, 1.9);
    }

    /// Switches style mixing on or off.
    pub fn mix(&mut self) {
        self.mixed = !self.mixed;
    }

    /// Moves the layer at which the two seeds meet.
    pub fn cut(&mut self, by: i8) {
        self.cut = self.cut.saturating_add_signed(by).min(self.layers);
    }

    /// Stops the walk, or continues it.
    pub fn stand(&mut self) {
        self.standing = !self.standing;
    }

    fn part(&self) -> f32 {
        f32::from(self.at) / f32::from(self.steps)
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.seed.wrapping_add(1);
        match self.mixed {
            true => write!(f, "seed {} with {next} from layer {} on", self.seed, self.cut)?,
            false => write!(f, "seed {} to {next}: {:2.0} %", self.seed, 100.0 * self.part())?,
        }
        write!(f, "  psi {:.1}", self.psi)
    }
}

fn q14(x: f32) -> i16 {
    (x * 16384.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_passes_its_seeds_and_turns_within_bounds() {
        let mut walk = Walk::new(u64::MAX, 0.7, 4, 32);
        let seen: Vec<u64> = (0..9).map(|_| (walk.seed(), walk.step()).0).collect();
        assert_eq!(seen, [vec![u64::MAX; 4], vec![0; 4], vec![1]].concat());
        (0..50).for_each(|_| walk.turn(0.1));
        assert_eq!(walk.psi(), q14(1.9));
        (0..50).for_each(|_| walk.cut(1));
        walk.mix();
        assert_eq!(walk.latent(), Latent::Pair { seeds: [1, 2], join: Join::Cut(7) });
        walk.stand();
        assert!(!walk.step());
    }
}
