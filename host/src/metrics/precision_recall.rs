//! Improved precision and recall: the share of each set that lies on the other set's manifold (Kynkäänniemi et al.
//! 2019).

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{MetricError, matrix};

/// The metric's name in errors.
const NAME: &str = "precision and recall";
/// The number of neighbours that give a point its radius, as in StyleGAN2-ADA's `pr50k3`.
pub const NEIGHBOURS: usize = 3;
/// The number of rows and of columns of a block of distances. Memory depends on it and not on the sets' sizes.
const BLOCK: usize = 1024;

/// Precision and recall, each in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// The share of generated images on the manifold of the real ones.
    pub precision: f64,
    /// The share of real images on the manifold of the generated ones.
    pub recall: f64,
}

/// Precision and recall of `generated` against `real`, `[samples, features]` each.
///
/// Distances are Euclidean, in double precision (the reference rounds to half), and computed in blocks: memory does not
/// grow with the square of the samples, time does.
///
/// # Errors
/// Fewer than `neighbours + 1` samples in a set, different widths, or a feature that is not finite.
pub fn precision_recall<T: matrix::Feature>(
    real: ArrayView2<T>,
    generated: ArrayView2<T>,
    neighbours: usize,
) -> Result<PrecisionRecall, MetricError> {
    matrix::comparable(NAME, neighbours + 1, real, generated)?;
    let share = |points: ArrayView2<T>, queries: ArrayView2<T>| -> Result<f64, MetricError> {
        Ok(covered(points, &squared_radii(points, neighbours)?, queries))
    };
    Ok(PrecisionRecall { precision: share(real, generated)?, recall: share(generated, real)? })
}

/// The distance of each point to its `neighbours`-th nearest other point, in the points' order.
///
/// # Errors
/// The errors of [`precision_recall`].
pub fn radii<T: matrix::Feature>(points: ArrayView2<T>, neighbours: usize) -> Result<Vec<f64>, MetricError> {
    matrix::comparable(NAME, neighbours + 1, points, points)?;
    Ok(squared_radii(points, neighbours)?.into_iter().map(f64::sqrt).collect())
}

fn squared_radii<T: matrix::Feature>(points: ArrayView2<T>, neighbours: usize) -> Result<Vec<f64>, MetricError> {
    let nearest = blocks(points, points, |(first, count), blocks| {
        // The `neighbours` smallest so far, sorted, of each row.
        let mut nearest = vec![f64::INFINITY; count * neighbours];
        for (start, distances) in blocks {
            for (i, row) in distances.rows().into_iter().enumerate() {
                let kept = &mut nearest[i * neighbours..][..neighbours];
                for (j, &distance) in row.iter().enumerate() {
                    if start + j != first + i {
                        insert(kept, distance);
                    }
                }
            }
        }
        nearest.chunks(neighbours.max(1)).map(|kept| kept.last().copied().unwrap_or(0.0)).collect()
    });
    if nearest.iter().all(|r: &f64| r.is_finite()) { Ok(nearest) } else { Err(MetricError::Overflow { metric: NAME }) }
}

/// The share of `queries` within the radius of at least one point.
fn covered<T: matrix::Feature>(points: ArrayView2<T>, squared_radii: &[f64], queries: ArrayView2<T>) -> f64 {
    let within = blocks(queries, points, |(_, count), blocks| {
        let mut within = vec![false; count];
        for (start, distances) in blocks {
            let radii = &squared_radii[start..][..distances.ncols()];
            for (row, within) in distances.rows().into_iter().zip(&mut within) {
                *within = *within || row.iter().zip(radii).any(|(d, r)| d <= r);
            }
        }
        within
    });
    within.iter().filter(|&&within| within).count() as f64 / within.len() as f64
}

/// Inserts a number into a sorted list and drops the largest one.
fn insert(sorted: &mut [f64], x: f64) {
    let Some(&last) = sorted.last() else { return };
    if x >= last {
        return;
    }
    let at = sorted.partition_point(|&y| y <= x);
    sorted[at..].rotate_right(1);
    sorted[at] = x;
}

/// The first column of a block, and the squared distances between its rows and columns.
type Block = (usize, Array2<f64>);

/// Calls `reduce` for every block of rows (first row and count) with the blocks of squared distances to all `columns`,
/// on all cores, and joins what it returns.
fn blocks<T: matrix::Feature, R: Send>(
    rows: ArrayView2<T>,
    columns: ArrayView2<T>,
    reduce: impl Fn((usize, usize), &mut dyn Iterator<Item = Block>) -> Vec<R> + Sync,
) -> Vec<R> {
    let starts: Vec<usize> = (0..rows.nrows()).step_by(BLOCK).collect();
    let parts = starts.into_par_iter().map(|first| {
        let end = rows.nrows().min(first + BLOCK);
        let x = matrix::rows(rows, first, end);
        let norms = squares(&x);
        let mut distances = (0..columns.nrows()).step_by(BLOCK).map(|start| {
            let y = matrix::rows(columns, start, columns.nrows().min(start + BLOCK));
            (start, squared_distances(&x, &norms, &y))
        });
        reduce((first, end - first), &mut distances)
    });
    parts.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn squares(x: &Array2<f64>) -> Array1<f64> {
    x.rows().into_iter().map(|row| row.dot(&row)).collect()
}

fn squared_distances(x: &Array2<f64>, norms: &Array1<f64>, y: &Array2<f64>) -> Array2<f64> {
    /// Below this share of the norms, `|x|^2 + |y|^2 - 2 x.y` has lost too many digits: equal points would be apart.
    const CANCELLED: f64 = 1e-6;
    let y_norms = squares(y);
    let mut distances = x.dot(&y.t());
    for ((mut row, x), &x_norm) in distances.axis_iter_mut(Axis(0)).zip(x.rows()).zip(norms) {
        for ((distance, y), &y_norm) in row.iter_mut().zip(y.rows()).zip(&y_norms) {
            let norms = x_norm + y_norm;
            *distance = norms - 2.0 * *distance;
            if *distance <= CANCELLED * norms {
                *distance = directly(x, y);
            }
        }
    }
    distances
}

fn directly(x: ArrayView1<f64>, y: ArrayView1<f64>) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::normal;

    /// The definition, with whole rows of distances sorted.
    fn by_definition(real: &Array2<f64>, generated: &Array2<f64>, k: usize) -> PrecisionRecall {
        let distances = |x: ArrayView1<f64>, set: &Array2<f64>| -> Vec<f64> {
            set.rows().into_iter().map(|y| directly(x, y)).collect()
        };
        let share = |points: &Array2<f64>, queries: &Array2<f64>| {
            let radius = |p| {
                let mut all = distances(p, points);
                all.sort_by(f64::total_cmp);
                all[k]
            };
            let radii: Vec<f64> = points.rows().into_iter().map(radius).collect();
            let inside = |q| distances(q, points).iter().zip(&radii).any(|(d, r)| d <= r);
            queries.rows().into_iter().filter(|q| inside(*q)).count() as f64 / queries.nrows() as f64
        };
        PrecisionRecall { precision: share(real, generated), recall: share(generated, real) }
    }

    #[test]
    fn random_sets_have_the_shares_of_the_definition() {
        for seed in 0..20 {
            let (n, m) = (5 + 7 * seed as usize, 90 - 3 * seed as usize);
            let real = normal(n, 1 + seed as usize % 5, seed);
            let generated = normal(m, real.ncols(), seed + 100) * 0.9 + 0.2;
            for k in 1..=4 {
                let found = precision_recall(real.view(), generated.view(), k).unwrap();
                assert_eq!(found, by_definition(&real, &generated, k), "seed {seed}, k {k}");
            }
        }
    }

    #[test]
    fn many_blocks_are_as_one() {
        let (real, generated) = (normal(BLOCK + 77, 3, 1), normal(2 * BLOCK + 5, 3, 2));
        let found = precision_recall(real.view(), generated.view(), 3).unwrap();
        assert_eq!(found, by_definition(&real, &generated, 3));
    }

    #[test]
    fn copies_lie_on_the_manifold_even_where_it_is_a_point() {
        // A generator that has collapsed: its radius is 0, and the point itself still inside.
        let real = normal(40, 64, 5) * 100.0 + 1000.0;
        let mut collapsed = real.clone();
        for mut row in collapsed.rows_mut() {
            row.assign(&real.row(0));
        }
        let found = precision_recall(real.view(), collapsed.view(), 3).unwrap();
        assert_eq!(found, PrecisionRecall { precision: 1.0, recall: 1.0 / 40.0 });
        let same = precision_recall(real.view(), real.view(), 3).unwrap();
        assert_eq!(same, PrecisionRecall { precision: 1.0, recall: 1.0 });
    }

    #[test]
    fn what_has_no_shares_is_an_error() {
        let (a, few) = (normal(9, 3, 1), normal(3, 3, 1));
        let short = MetricError::TooFew { metric: NAME, need: 4, have: 3 };
        assert_eq!(precision_recall(a.view(), few.view(), 3), Err(short.clone()));
        assert_eq!(radii(few.view(), 3), Err(short));
        let mut nan = a.clone();
        nan[[8, 2]] = f64::NAN;
        let not = MetricError::NotFinite { image: 8, feature: 2 };
        assert_eq!(precision_recall(a.view(), nan.view(), 3), Err(not));
        assert!(matches!(radii((&a * 1e200).view(), 3), Err(MetricError::Overflow { .. })));
    }
}
