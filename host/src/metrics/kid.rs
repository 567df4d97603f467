//! The kernel (inception) distance, KID: an unbiased estimate of MMD^2 with a polynomial kernel (Bińkowski et al.
//! 2018).

use ndarray::{Array2, ArrayView2, Axis};
use nickeldime_checkpoint::random::Stream;
use rayon::prelude::*;

use super::{MetricError, matrix};

/// The metric's name in errors.
const NAME: &str = "KID";

/// Settings of KID's average over random subsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subsets {
    /// The number of random subsets.
    pub count: usize,
    /// The largest number of samples of each set in a subset.
    pub size: usize,
    /// The seed of the subsets' choice.
    pub seed: u64,
}

impl Default for Subsets {
    /// 100 subsets of at most 1000 samples, as in StyleGAN2-ADA's `kid50k`.
    fn default() -> Self {
        Self { count: 100, size: 1000, seed: 0 }
    }
}

/// The mean of [`kid_of_all`] over random subsets of both sets, `[samples, features]` each. May be below 0: it is
/// unbiased.
///
/// # Errors
/// Fewer than two samples in a set (or a subset), different widths, or a feature that is not finite.
pub fn kid<T: matrix::Feature>(a: ArrayView2<T>, b: ArrayView2<T>, subsets: &Subsets) -> Result<f64, MetricError> {
    matrix::comparable(NAME, 2, a, b)?;
    let size = subsets.size.min(a.nrows()).min(b.nrows());
    if size < 2 || subsets.count == 0 {
        return Err(MetricError::TooFew { metric: NAME, need: 2, have: size.min(subsets.count) });
    }
    let chosen = |set: ArrayView2<T>, name: &str, subset: usize| {
        let order = Stream::new(subsets.seed, name, subset as u64).permutation(set.nrows());
        set.select(Axis(0), &order[..size]).mapv(Into::into)
    };
    let distances: Vec<f64> = (0..subsets.count)
        .into_par_iter()
        .map(|n| unbiased(&chosen(a, "subset of a", n), &chosen(b, "subset of b", n)))
        .collect();
    matrix::value(NAME, distances.iter().sum::<f64>() / subsets.count as f64)
}

/// The unbiased estimate with all samples as the single subset; of a larger set, its first rows.
///
/// # Errors
/// The errors of [`kid`].
pub fn kid_of_all<T: matrix::Feature>(a: ArrayView2<T>, b: ArrayView2<T>) -> Result<f64, MetricError> {
    matrix::comparable(NAME, 2, a, b)?;
    let size = a.nrows().min(b.nrows());
    matrix::value(NAME, unbiased(&matrix::rows(a, 0, size), &matrix::rows(b, 0, size)))
}

/// `[sum_{i != j} k(a_i, a_j) + sum_{i != j} k(b_i, b_j)] / (m (m - 1)) - 2 sum_{ij} k(a_i, b_j) / m^2`, m rows each.
fn unbiased(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let m = a.nrows() as f64;
    let apart = |x: &Array2<f64>| {
        let k = kernel(x, x);
        k.sum() - k.diag().sum()
    };
    (apart(a) + apart(b)) / (m * (m - 1.0)) - 2.0 * kernel(a, b).sum() / (m * m)
}

/// `(x . y / features + 1)^3` of every pair of rows.
fn kernel(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    let width = x.ncols().max(1) as f64;
    x.dot(&y.t()).mapv_into(|p| (p / width + 1.0).powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::normal;

    /// The formula, pair by pair.
    fn by_pairs(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        let k = |x: ndarray::ArrayView1<f64>, y: ndarray::ArrayView1<f64>| (x.dot(&y) / x.len() as f64 + 1.0).powi(3);
        let m = a.nrows();
        let (mut within, mut across) = (0.0, 0.0);
        for i in 0..m {
            for j in 0..m {
                across += k(a.row(i), b.row(j));
                if i != j {
                    within += k(a.row(i), a.row(j)) + k(b.row(i), b.row(j));
                }
            }
        }
        within / (m * (m - 1)) as f64 - 2.0 * across / (m * m) as f64
    }

    #[test]
    fn pairs_one_by_one_give_the_same() {
        let (a, b) = (normal(30, 5, 1), normal(30, 5, 2) + 0.3);
        let (expected, found) = (by_pairs(&a, &b), kid_of_all(a.view(), b.view()).unwrap());
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        let subsets = Subsets { count: 3, ..Subsets::default() };
        let found = kid(a.view(), b.view(), &subsets).unwrap();
        assert!((found - expected).abs() < 1e-12, "every subset is the whole: {found}");
    }

    #[test]
    fn subsets_estimate_the_whole_and_repeat() {
        let (a, b) = (normal(500, 4, 1), normal(400, 4, 2) + 1.0);
        let subsets = Subsets { count: 50, size: 100, seed: 0 };
        let found = kid(a.view(), b.view(), &subsets).unwrap();
        let whole = kid_of_all(a.view(), b.view()).unwrap();
        assert!((found - whole).abs() < 0.1 * whole, "{found} {whole}");
        assert_eq!(kid(a.view(), b.view(), &subsets), Ok(found));
        assert_ne!(kid(a.view(), b.view(), &Subsets { seed: 1, ..subsets }), Ok(found));
    }

    #[test]
    fn what_has_no_distance_is_an_error() {
        let (a, one) = (normal(5, 3, 1), normal(1, 3, 1));
        let few = MetricError::TooFew { metric: NAME, need: 2, have: 1 };
        assert_eq!(kid_of_all(a.view(), one.view()), Err(few.clone()));
        assert_eq!(kid(a.view(), one.view(), &Subsets::default()), Err(few));
        let mut nan = a.clone();
        nan[[0, 0]] = f64::INFINITY;
        assert!(matches!(kid_of_all(nan.view(), a.view()), Err(MetricError::NotFinite { .. })));
        let huge = &a * 1e200;
        assert!(matches!(kid_of_all(a.view(), huge.view()), Err(MetricError::Overflow { .. })));
    }
}
