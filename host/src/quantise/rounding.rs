//! Rounds weights so that the error of a layer's output is small, rather than the error of the weights.
//!
//! With second moments H of the inputs, weights w and their integers q give an expected squared error of
//! `(w - q)^T H (w - q)`. Weights are rounded one after the other. The weights that are not rounded yet compensate for
//! the effect of each rounding on the output, as far as the inputs correlate (the error feedback of optimal brain
//! surgery: Frantar et al., "GPTQ", 2022).

use nalgebra::DMatrix;
use ndarray::{Array2, ArrayView1};
use nickeldime_core::pack::WeightWidth;
use rayon::prelude::*;

use super::integers::{Row, largest_integer};

/// Step sizes that are tried for a row of 8-bit weights, as fractions of the one that fits its largest weight.
const CLIPS: [f64; 6] = [1.0, 0.93, 0.86, 0.79, 0.72, 0.65];
/// Share of the diagonal's mean that is added to the diagonal, because moments of few inputs are uncertain.
const DAMPING: f64 = 0.01;

/// A layer's second moments, prepared for rounding.
#[derive(Debug)]
pub struct Feedback {
    moments: Array2<f64>,
    /// The order of rounding. Weights with large inputs come first, because more weights can then compensate for their
    /// errors.
    order: Vec<usize>,
    /// The upper triangular U of `H^-1 = U^T U`, in that order.
    upper: Vec<Vec<f64>>,
}

impl Feedback {
    /// Prepares second moments `[inputs, inputs]`; `None` if they are all 0 or not finite.
    pub fn new(moments: &Array2<f64>) -> Option<Self> {
        let width = moments.nrows();
        let mean = moments.diag().sum() / width as f64;
        if !(mean.is_finite() && mean > 0.0) {
            return None;
        }
        let mut damped = moments.clone();
        damped.diag_mut().iter_mut().for_each(|v| *v += DAMPING * mean);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| damped[[b, b]].total_cmp(&damped[[a, a]]));
        let ordered = DMatrix::from_fn(width, width, |i, j| damped[[order[i], order[j]]]);
        let inverse = ordered.cholesky()?.inverse();
        let lower = inverse.cholesky()?.l();
        let upper = (0..width).map(|i| (i..width).map(|j| lower[(j, i)]).collect()).collect();
        Some(Self { moments: damped, order, upper })
    }

    /// The second moments with damping.
    pub fn moments(&self) -> &Array2<f64> {
        &self.moments
    }

    /// Rounds all rows of `[outputs, inputs]`. Returns them, and their expected squared error summed over all outputs,
    /// as a share of the sum of the outputs' squares.
    pub fn round(&self, weights: &Array2<f64>, width: WeightWidth) -> (Vec<Row>, f64) {
        let rows: Vec<&[f64]> = weights.rows().into_iter().filter_map(|row| row.to_slice()).collect();
        let rounded: Vec<(Row, f64, f64)> = rows.par_iter().map(|row| self.round_row(row, width)).collect();
        let (error, square) = rounded.iter().fold((0.0, 0.0), |(e, s), (_, error, square)| (e + error, s + square));
        (rounded.into_iter().map(|(row, ..)| row).collect(), error / f64::max(square, f64::MIN_POSITIVE))
    }

    fn round_row(&self, weights: &[f64], width: WeightWidth) -> (Row, f64, f64) {
        let largest = weights.iter().fold(0f64, |m, w| m.max(w.abs()));
        if largest == 0.0 {
            return (Row { integers: vec![0; weights.len()], scale: 0.0 }, 0.0, 0.0);
        }
        let limit = largest_integer(width);
        let clips = if width == WeightWidth::I8 { &CLIPS[..] } else { &CLIPS[..1] };
        let tried = clips.iter().map(|clip| self.round_to(weights, largest * clip / limit, limit));
        let (_, integers) = tried.min_by(|a, b| a.0.total_cmp(&b.0)).expect("at least one step was tried");
        // The scale that fits the outputs best, and the error that remains with it.
        let w = ArrayView1::from(weights);
        let q = ndarray::Array1::from_iter(integers.iter().map(|&q| f64::from(q)));
        let (hq, hw) = (self.moments.dot(&q), self.moments.dot(&w));
        let (square, along, own) = (w.dot(&hw), w.dot(&hq), q.dot(&hq));
        let scale = if own > 0.0 { along / own } else { 0.0 };
        let scale = if scale > 0.0 { scale } else { largest / limit };
        (Row { integers, scale }, (square - 2.0 * scale * along + scale * scale * own).max(0.0), square)
    }

    /// Rounds to multiples of a step. Returns the expected squared error and the integers.
    fn round_to(&self, weights: &[f64], step: f64, limit: f64) -> (f64, Vec<i16>) {
        let mut left: Vec<f64> = self.order.iter().map(|&at| weights[at]).collect();
        let mut integers = vec![0; weights.len()];
        let mut error = 0.0;
        for (i, factors) in self.upper.iter().enumerate() {
            let integer = (left[i] / step).round().clamp(-limit, limit);
            let share = (left[i] - integer * step) / factors[0];
            error += share * share;
            for (left, factor) in left[i..].iter_mut().zip(factors) {
                *left -= share * factor;
            }
            integers[self.order[i]] = integer as i16;
        }
        (error, integers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantise::integers::quantise_row;
    use nickeldime_checkpoint::random::Stream;

    /// Squared error of a row's outputs over inputs, by definition.
    fn error(weights: &[f64], row: &Row, inputs: &Array2<f32>) -> f64 {
        let off = |x: ArrayView1<'_, f32>| -> f64 {
            let terms = weights.iter().zip(&row.integers).zip(x);
            terms.map(|((w, &q), &x)| (w - f64::from(q) * row.scale) * f64::from(x)).sum()
        };
        inputs.rows().into_iter().map(|x| off(x).powi(2)).sum()
    }

    #[test]
    fn correlated_inputs_are_served_better_than_by_rounding_to_nearest() {
        let mut stream = Stream::new(1, "rounding", 0);
        let (count, width) = (400, 40);
        let shared: Vec<f32> = (0..count).map(|_| stream.one_normal()).collect();
        let inputs = Array2::from_shape_fn((count, width), |(n, _)| shared[n] + 0.3 * stream.one_normal());
        let mut moments = crate::quantise::Gram::new(width);
        moments.add(inputs.view());
        let feedback = Feedback::new(&moments.mean().unwrap()).unwrap();
        let weights = Array2::from_shape_fn((6, width), |_| f64::from(stream.one_normal()));
        let (rows, share) = feedback.round(&weights, WeightWidth::I8);
        let (mut ours, mut nearest, mut all) = (0.0, 0.0, 0.0);
        for (row, weights) in rows.iter().zip(weights.rows()) {
            let weights = weights.to_vec();
            ours += error(&weights, row, &inputs);
            nearest += error(&weights, &quantise_row(&weights, WeightWidth::I8), &inputs);
            all += error(&weights, &Row { integers: vec![0; width], scale: 0.0 }, &inputs);
        }
        assert!(3.0 * ours < nearest, "{ours} {nearest}");
        // The damping counts as an error, too.
        assert!(ours / all <= share && share < 0.02, "{} {share}", ours / all);
    }
}
