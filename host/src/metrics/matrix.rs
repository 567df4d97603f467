//! Helpers that the metrics share: rows in double precision, parallel products, checks.

use ndarray::{Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use super::MetricError;

/// A number type of features: `f32`, or `f64` for golden vectors.
pub trait Feature: Copy + Into<f64> + Send + Sync {}

impl Feature for f32 {}
impl Feature for f64 {}

/// The rows `start..end`, in double precision.
pub(super) fn rows<T: Feature>(features: ArrayView2<T>, start: usize, end: usize) -> Array2<f64> {
    features.slice(s![start..end, ..]).mapv(Into::into)
}

/// `out += a^T b`, on all cores; the sums are taken in the same order whatever their number.
pub(super) fn add_transposed_product(out: &mut Array2<f64>, a: ArrayView2<f64>, b: ArrayView2<f64>) {
    const PANEL: usize = 128;
    let panels: Vec<_> = out.axis_chunks_iter_mut(Axis(0), PANEL).enumerate().collect();
    panels.into_par_iter().for_each(|(n, mut panel)| {
        let columns = a.slice(s![.., n * PANEL..n * PANEL + panel.nrows()]);
        general_mat_mul(1.0, &columns.t(), &b, 1.0, &mut panel);
    });
}

/// Checks that all numbers are finite; the error names the first that is not.
pub(super) fn finite<T: Feature>(features: ArrayView2<T>) -> Result<(), MetricError> {
    let not_finite = |x: &T| !Into::<f64>::into(*x).is_finite();
    let found = features.indexed_iter().find(|(_, x)| not_finite(x));
    found.map_or(Ok(()), |((image, feature), _)| Err(MetricError::NotFinite { image, feature }))
}

/// Checks that two sets can be compared.
pub(super) fn comparable<T: Feature>(
    metric: &'static str,
    need: usize,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
) -> Result<(), MetricError> {
    if a.ncols() != b.ncols() {
        return Err(MetricError::Widths { a: a.ncols(), b: b.ncols() });
    }
    let have = a.nrows().min(b.nrows());
    if have < need {
        return Err(MetricError::TooFew { metric, need, have });
    }
    finite(a).and_then(|()| finite(b))
}

/// The value of a metric, or an error if it is not finite.
pub(super) fn value(metric: &'static str, x: f64) -> Result<f64, MetricError> {
    if x.is_finite() { Ok(x) } else { Err(MetricError::Overflow { metric }) }
}
