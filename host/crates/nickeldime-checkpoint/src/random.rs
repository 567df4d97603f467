//! Reproducible randomness: every draw is a function of (seed, purpose, step), so that a run needs no saved state.

use nickeldime_core::latent;

/// A stream of random numbers for one purpose at one step (SplitMix64).
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of `purpose` at `step`; different purposes and steps are independent.
    pub fn new(seed: u64, purpose: &str, step: u64) -> Self {
        let mut stream = Self { state: seed };
        for byte in purpose.bytes() {
            stream.state = stream.bits() ^ u64::from(byte);
        }
        stream.state = stream.bits() ^ step;
        stream.bits();
        stream
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`; `bound` is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// The indices `0..len` in random order.
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for i in (1..len).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// One N(0, 1) number.
    pub fn one_normal(&mut self) -> f32 {
        q12(latent::gaussian(self.bits(), 0))
    }
}

/// Converts a number of the device's Gaussian generator (Q12) to a float.
pub fn q12(value: i16) -> f32 {
    f32::from(value) / 4096.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_purposes_and_steps_differ() {
        let first = |purpose: &str, step| Stream::new(0, purpose, step).bits();
        let draws = [first("z", 0), first("z", 1), first("mix", 0), first("zz", 0)];
        for (i, a) in draws.iter().enumerate() {
            assert!(!draws[..i].contains(a));
        }
        assert_eq!(first("z", 7), first("z", 7));
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Stream::new(3, "order", 0).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
