//! Images between two seeds: loops through latent space, and grids of mixed styles.

use nickeldime_core::generator::Join;

use super::fixed::q14;

/// Two of the device's own latents, each mapped and truncated, and what is made of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The first and the second latent.
    pub seeds: [u64; 2],
    /// Style mixing or interpolation.
    pub join: Join,
    /// The seed of random noise.
    pub noise: u64,
}

/// A loop in w through these seeds and back to the first, in so many frames. The noise is the same in all of them.
pub fn walk(seeds: &[u64], frames: usize) -> Vec<Pair> {
    let Some(&noise) = seeds.first() else { return Vec::new() };
    let frame = |number: usize| {
        let place = number * seeds.len();
        let (leg, part) = (place / frames, (place % frames) as f32 / frames as f32);
        Pair { seeds: [seeds[leg], seeds[(leg + 1) % seeds.len()]], join: Join::Weight(q14(part)), noise }
    };
    (0..frames).map(frame).collect()
}

/// A grid of style mixing. A row's seed gives the layers before `cut` (the coarse styles), a column's seed those from
/// `cut` on (the fine styles). First come the images of the columns' seeds, then for every row its seed's image and the
/// mixed ones.
pub fn mixing_grid(rows: &[u64], columns: &[u64], cut: u8) -> Vec<Pair> {
    let alone = |seed: u64| Pair { seeds: [seed, seed], join: Join::Cut(0), noise: seed };
    let mut pairs: Vec<Pair> = columns.iter().map(|&column| alone(column)).collect();
    for &row in rows {
        pairs.push(alone(row));
        let mixed = |&column: &u64| Pair { seeds: [row, column], join: Join::Cut(cut), noise: row };
        pairs.extend(columns.iter().map(mixed));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_passes_its_seeds_at_even_distances_and_closes() {
        let frames = walk(&[5, 9, 2], 6);
        let weights: Vec<_> = frames.iter().map(|pair| pair.join).collect();
        let [start, half] = [Join::Weight(0), Join::Weight(1 << 13)];
        assert_eq!(weights, [start, half, start, half, start, half]);
        let seeds: Vec<_> = frames.iter().map(|pair| pair.seeds).collect();
        assert_eq!(seeds, [[5, 9], [5, 9], [9, 2], [9, 2], [2, 5], [2, 5]]);
        assert!(frames.iter().all(|pair| pair.noise == 5));
        assert_eq!(walk(&[1, 2], 5).len(), 5);
        assert!(walk(&[], 5).is_empty() && walk(&[1], 0).is_empty());
    }
}
