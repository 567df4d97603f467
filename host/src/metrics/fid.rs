//! The Fréchet (inception) distance, FID: fits a Gaussian to each set and compares the two (Heusel et al. 2017).

use nalgebra::{DMatrix, SVD, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2};

use super::{MetricError, matrix};

/// The number of rows that are processed at once.
const BLOCK: usize = 1024;
/// The metric's name in errors.
const NAME: &str = "FID";

/// The Gaussian of a set of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    /// The mean, `[features]`.
    pub mean: Array1<f64>,
    /// The covariance, `[features, features]`. The sum is divided by n, as in StyleGAN2-ADA's metric.
    pub covariance: Array2<f64>,
    /// The number of samples that the Gaussian was fitted to.
    pub samples: usize,
}

/// The behaviour for a set with no more samples than features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FewSamples {
    /// The metric is refused with an error.
    Refuse,
    /// The distance is computed although it is far too large.
    Allow,
}

impl Gaussian {
    /// Fits a Gaussian to `[samples, features]`, in double precision and two passes. It needs memory for the covariance
    /// and one block of rows only.
    ///
    /// # Errors
    /// There is no sample, or a feature is not finite.
    pub fn of<T: matrix::Feature>(features: ArrayView2<T>) -> Result<Self, MetricError> {
        let (samples, width) = features.dim();
        if samples == 0 {
            return Err(MetricError::TooFew { metric: NAME, need: 1, have: 0 });
        }
        matrix::finite(features)?;
        let blocks = || (0..samples).step_by(BLOCK).map(|at| (at, samples.min(at + BLOCK)));
        let mut mean = Array1::zeros(width);
        for (start, end) in blocks() {
            mean += &matrix::rows(features, start, end).sum_axis(ndarray::Axis(0));
        }
        mean /= samples as f64;
        let mut covariance = Array2::zeros((width, width));
        for (start, end) in blocks() {
            let centred = matrix::rows(features, start, end) - &mean;
            matrix::add_transposed_product(&mut covariance, centred.view(), centred.view());
        }
        covariance /= samples as f64;
        Ok(Self { mean, covariance, samples })
    }

    /// `|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, at least 0.
    ///
    /// The trace of the root is the sum of the singular values of `C_a^(1/2) C_b^(1/2)`: both factors are positive
    /// semi-definite, so no complex root appears, and small eigenvalues keep their digits (no covariance is squared).
    ///
    /// # Errors
    /// The widths differ, there are no more samples than features (unless that is allowed), or a number overflows.
    pub fn distance(&self, other: &Self, few: FewSamples) -> Result<f64, MetricError> {
        let features = self.mean.len();
        if other.mean.len() != features {
            return Err(MetricError::Widths { a: features, b: other.mean.len() });
        }
        let have = self.samples.min(other.samples);
        if have <= features && few == FewSamples::Refuse {
            return Err(MetricError::Singular { features, have });
        }
        let means = (&self.mean - &other.mean).mapv(|x| x * x).sum();
        let traces = self.covariance.diag().sum() + other.covariance.diag().sum();
        // Also keeps the decompositions, which would not end, from numbers that are none.
        matrix::value(NAME, means + traces)?;
        let root = trace_of_root(&self.covariance, &other.covariance)?;
        matrix::value(NAME, (means + traces - 2.0 * root).max(0.0))
    }
}

/// The distance of two sets of features `[samples, features]`; see [`Gaussian::of`] and [`Gaussian::distance`].
///
/// # Errors
/// The errors of [`Gaussian::of`] and [`Gaussian::distance`].
pub fn fid<T: matrix::Feature>(a: ArrayView2<T>, b: ArrayView2<T>, few: FewSamples) -> Result<f64, MetricError> {
    matrix::comparable(NAME, 1, a, b)?;
    Gaussian::of(a)?.distance(&Gaussian::of(b)?, few)
}

/// The distance of [`fid`], with few samples allowed, at a cost that grows with the samples and not with the features.
///
/// The covariances are `A^T A / n` and `B^T B / m` of the centred samples, so the trace of the root of their product is
/// the sum of the singular values of `A B^T / (n m)^(1/2)`.
///
/// # Errors
/// The errors of [`Gaussian::of`] and [`Gaussian::distance`], except for few samples.
pub fn fid_of_few<T: matrix::Feature>(a: ArrayView2<T>, b: ArrayView2<T>) -> Result<f64, MetricError> {
    matrix::comparable(NAME, 1, a, b)?;
    let centred = |x: ArrayView2<T>| {
        let x = matrix::rows(x, 0, x.nrows());
        let mean = x.sum_axis(ndarray::Axis(0)) / x.nrows() as f64;
        ((&x - &mean) / (x.nrows() as f64).sqrt(), mean)
    };
    let ((a, a_mean), (b, b_mean)) = (centred(a), centred(b));
    let squares = |x: &Array2<f64>| x.iter().map(|x| x * x).sum::<f64>();
    let apart = (&a_mean - &b_mean).mapv(|x| x * x).sum() + squares(&a) + squares(&b);
    let product = a.dot(&b.t());
    // Also keeps the decomposition, which would not end, from numbers that are none.
    matrix::value(NAME, apart + squares(&product))?;
    let product = DMatrix::from_row_iterator(product.nrows(), product.ncols(), product.iter().copied());
    matrix::value(NAME, (apart - 2.0 * sum_of_singular_values(product)?).max(0.0))
}

/// The trace of `(a b)^(1/2)` of two covariances.
fn trace_of_root(a: &Array2<f64>, b: &Array2<f64>) -> Result<f64, MetricError> {
    let rounds = rounds(a.nrows());
    let ([a_scale, b_scale], [a, b]) = ([scale(a), scale(b)], [a, b]);
    if a_scale == 0.0 || b_scale == 0.0 {
        return Ok(0.0);
    }
    let half = |c: &Array2<f64>, scale: f64| {
        // Values are scaled to be near 1, so that the iterations' thresholds are meaningful.
        let c = DMatrix::from_row_iterator(c.nrows(), c.ncols(), c.iter().map(|x| x / scale));
        let eigen = SymmetricEigen::try_new(c, f64::EPSILON, rounds).ok_or(MetricError::Decomposition)?;
        Ok((eigen.eigenvectors, eigen.eigenvalues.map(|x| x.max(0.0).sqrt())))
    };
    let (left, left_roots) = half(a, a_scale)?;
    let (right, right_roots) = half(b, b_scale)?;
    let mut product = left.transpose() * right;
    for (j, mut column) in product.column_iter_mut().enumerate() {
        column.component_mul_assign(&left_roots);
        column *= right_roots[j];
    }
    Ok(sum_of_singular_values(product)? * (a_scale * b_scale).sqrt())
}

/// A number of iterations that is far more than a decomposition of this width needs.
fn rounds(width: usize) -> usize {
    1000 * (width + 1)
}

fn sum_of_singular_values(matrix: DMatrix<f64>) -> Result<f64, MetricError> {
    let energy = matrix.norm_squared();
    let rounds = rounds(matrix.nrows().max(matrix.ncols()));
    let svd = SVD::try_new(matrix, false, false, f64::EPSILON, rounds).ok_or(MetricError::Decomposition)?;
    let values = svd.singular_values;
    // Every set of singular values must satisfy this.
    if (values.norm_squared() - energy).abs() > 1e-9 * energy {
        return Err(MetricError::Decomposition);
    }
    Ok(values.sum())
}

fn scale(c: &Array2<f64>) -> f64 {
    c.diag().iter().fold(0.0, |m, &x| x.max(m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::{normal, rank_deficient};

    const ALLOW: FewSamples = FewSamples::Allow;

    #[test]
    fn a_set_is_at_distance_0_from_itself() {
        for features in [normal(300, 24, 1), rank_deficient(40, 24, 5, 2), normal(10, 24, 3) * 1e3, normal(2, 1, 1)] {
            let scale = Gaussian::of(features.view()).unwrap().covariance.diag().sum();
            let distance = fid(features.view(), features.view(), ALLOW).unwrap();
            assert!(distance <= 1e-9 * scale.max(1.0), "{distance}");
        }
        let constant = Array2::from_elem((5, 3), 0.1);
        assert_eq!(fid(constant.view(), constant.view(), ALLOW), Ok(0.0));
    }

    #[test]
    fn a_shift_costs_its_square_and_a_scale_its_closed_form() {
        let a = normal(400, 16, 7);
        let shift = Array1::from_shape_fn(16, |i| 0.1 * i as f64);
        let expected = shift.dot(&shift);
        let moved = fid(a.view(), (&a + &shift).view(), FewSamples::Refuse).unwrap();
        assert!((moved - expected).abs() < 1e-6, "{moved} {expected}");
        // x -> 3 x: (3 - 1)^2 tr C + |2 mu|^2.
        let gaussian = Gaussian::of(a.view()).unwrap();
        let expected = 4.0 * (gaussian.covariance.diag().sum() + gaussian.mean.dot(&gaussian.mean));
        let scaled = fid(a.view(), (&a * 3.0).view(), FewSamples::Refuse).unwrap();
        assert!((scaled - expected).abs() < 1e-9 * expected, "{scaled} {expected}");
    }

    #[test]
    fn axes_that_commute_have_their_closed_form() {
        // Diagonal covariances: the sum of (sigma_a - sigma_b)^2.
        let gaussian = |sigmas: [f64; 4]| Gaussian {
            mean: Array1::zeros(4),
            covariance: Array2::from_diag(&Array1::from_iter(sigmas.map(|s| s * s))),
            samples: 9,
        };
        let (a, b) = (gaussian([0.0, 1.0, 2.0, 1e-7]), gaussian([3.0, 0.5, 2.0, 4e-7]));
        let distance = a.distance(&b, FewSamples::Refuse).unwrap();
        assert!((distance - 9.25).abs() < 1e-12, "{distance}");
    }

    #[test]
    fn sets_in_different_subspaces_keep_their_traces() {
        let mut a = normal(50, 6, 1);
        let mut b = normal(60, 6, 2);
        a.slice_mut(ndarray::s![.., 3..]).fill(0.0);
        b.slice_mut(ndarray::s![.., ..3]).fill(0.0);
        let [ga, gb] = [&a, &b].map(|x| Gaussian::of(x.view()).unwrap());
        let means = (&ga.mean - &gb.mean).mapv(|x| x * x).sum();
        let expected = means + ga.covariance.diag().sum() + gb.covariance.diag().sum();
        let distance = ga.distance(&gb, FewSamples::Refuse).unwrap();
        assert!((distance - expected).abs() < 1e-12 * expected);
    }

    #[test]
    fn few_samples_have_the_same_distance_by_their_products() {
        let far = normal(12, 24, 5) * 3.0 + 1.0;
        for (a, b) in
            [(normal(10, 24, 3), far), (normal(90, 8, 1), normal(70, 8, 2)), (normal(1, 6, 1), normal(4, 6, 2))]
        {
            let expected = fid(a.view(), b.view(), ALLOW).unwrap();
            let distance = fid_of_few(a.view(), b.view()).unwrap();
            assert!((distance - expected).abs() < 1e-7 * expected.max(1.0), "{distance} {expected}");
        }
        let same = normal(40, 30, 9);
        assert!(fid_of_few(same.view(), same.view()).unwrap() < 1e-9);
        let huge = &same * 1e200;
        assert!(matches!(fid_of_few(same.view(), huge.view()), Err(MetricError::Overflow { .. })));
        assert!(fid_of_few(same.view(), normal(4, 6, 2).view()).is_err());
    }

    #[test]
    fn what_has_no_distance_is_an_error() {
        let a = normal(20, 8, 1);
        let mut nan = a.clone();
        nan[[3, 2]] = f64::NAN;
        let not = MetricError::NotFinite { image: 3, feature: 2 };
        assert_eq!(fid(a.view(), nan.view(), ALLOW), Err(not));
        let wide = normal(20, 9, 1);
        assert_eq!(fid(a.view(), wide.view(), ALLOW), Err(MetricError::Widths { a: 8, b: 9 }));
        let few = normal(8, 8, 1);
        let refused = fid(a.view(), few.view(), FewSamples::Refuse);
        assert_eq!(refused, Err(MetricError::Singular { features: 8, have: 8 }));
        assert!(fid(a.view(), few.view(), ALLOW).unwrap() > 0.0);
        let none = Array2::<f64>::zeros((0, 8));
        assert!(matches!(fid(a.view(), none.view(), ALLOW), Err(MetricError::TooFew { .. })));
        let huge = &a * 1e200;
        assert!(matches!(fid(a.view(), huge.view(), ALLOW), Err(MetricError::Overflow { .. })));
    }
}
