//! Random features for tests.

use ndarray::Array2;
use nickeldime_checkpoint::random::Stream;

/// Independent N(0, 1) numbers.
pub fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut stream = Stream::new(seed, "test", 0);
    Array2::from_shape_simple_fn((rows, columns), || f64::from(stream.one_normal()))
}

/// Features in a subspace of `rank` dimensions.
pub fn rank_deficient(rows: usize, columns: usize, rank: usize, seed: u64) -> Array2<f64> {
    normal(rows, rank, seed).dot(&normal(rank, columns, seed + 1))
}
