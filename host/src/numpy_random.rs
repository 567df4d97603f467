//! NumPy's legacy random numbers, `numpy.random.RandomState(seed).randn(...)`, whose seeds people exchange.
//!
//! The official tools of StyleGAN2-ADA draw the image of seed N from `RandomState(N).randn(1, z_dim)`. Uniform numbers
//! from the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998) become normal by Marsaglia's polar method. NumPy
//! has promised that this stream does not change (NEP 19).

/// Number of words in the twister's state.
const WORDS: usize = 624;
/// The distance between the words that are mixed.
const SHIFT: usize = 397;

/// The state of `numpy.random.RandomState(seed)`.
pub struct RandomState {
    words: [u32; WORDS],
    /// Index of the next word; [`WORDS`] if all have been used.
    next: usize,
    /// The second number of a pair, until it is used.
    kept: Option<f64>,
}

impl RandomState {
    /// The state after seeding.
    pub fn new(seed: u32) -> Self {
        let mut words = [0; WORDS];
        let mut word = seed;
        for (index, to) in (1u32..).zip(&mut words) {
            *to = word;
            word = 1_812_433_253u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(index);
        }
        Self { words, next: WORDS, kept: None }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            for i in 0..WORDS {
                let joined = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % WORDS] & 0x7fff_ffff);
                let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
                self.words[i] = self.words[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A uniform number in 0..1, with 53 random bits.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// The next number of `randn`: N(0, 1).
    pub fn normal(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.kept = Some(factor * x);
                return factor * y;
            }
        }
    }
}

/// The latent of a seed as in the official tools: `RandomState(seed).randn(1, z_dim)`, rounded to single precision.
pub fn latent(seed: u32, z_dim: usize) -> Vec<f32> {
    let mut state = RandomState::new(seed);
    (0..z_dim).map(|_| state.normal() as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_gives_its_published_numbers() {
        // The C++ standard (26.5.5): the 10000th number of a default-constructed mt19937, whose seed is 5489.
        let mut state = RandomState::new(5489);
        let word = (0..10_000).map(|_| state.word()).last();
        assert_eq!(word, Some(4_123_659_995));
    }

    #[test]
    fn normal_numbers_are_those_of_numpys_documentation() {
        // `np.random.seed(0); np.random.randn(5)`, and the same for seed 42, as found in any tutorial.
        let first = |seed| latent(seed, 5);
        let near = |ours: Vec<f32>, theirs: [f32; 5]| ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(first(0), [1.764_052_3, 0.400_157_2, 0.978_738, 2.240_893_2, 1.867_558]));
        assert!(near(first(42), [0.496_714_15, -0.138_264_3, 0.647_688_54, 1.523_029_9, -0.234_153_37]));
    }
}
