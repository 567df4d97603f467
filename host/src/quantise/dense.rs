//! Quantises the matrix-vector layers: the mapping network and the affine layers. Each is fitted to the outputs of the
//! quantised layers before it, over the calibration latents.

use nalgebra::DMatrix;
use ndarray::{Array1, Array2, Axis};
use nickeldime_core::{latent::gaussian, pack::WeightWidth};

use super::integers::{Row, quantise_row};
use super::rounding::Feedback;

/// A fully connected layer with its gains applied.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Weights, `[out, in]`.
    pub weights: Array2<f64>,
    /// Biases, `[out]`.
    pub biases: Array1<f64>,
}

impl Layer {
    /// The layer's outputs at `inputs` `[count, in]`.
    pub fn apply(&self, inputs: &Array2<f64>) -> Array2<f64> {
        inputs.dot(&self.weights.t()) + &self.biases
    }
}

/// A quantised layer.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    /// The rows of weights, `[out]`.
    pub rows: Vec<Row>,
    /// Biases, `[out]`, which also cancel the rounding's effect on the mean of the outputs.
    pub biases: Vec<f64>,
    /// Mean squared error of the outputs, as a share of their variance.
    pub error: f64,
}

impl Fitted {
    /// The quantised layer as a layer of real numbers.
    pub fn layer(&self) -> Layer {
        let inputs = self.rows.first().map_or(0, |row| row.integers.len());
        let weight = |(o, i): (usize, usize)| f64::from(self.rows[o].integers[i]) * self.rows[o].scale;
        let weights = Array2::from_shape_fn((self.rows.len(), inputs), weight);
        Layer { weights, biases: self.biases.iter().copied().collect() }
    }
}

/// A layer's inputs over the calibration latents, `[count, width]`: those of the float network, and those that the
/// quantised layers before it give.
#[derive(Debug)]
pub(super) struct Inputs {
    pub float: Array2<f64>,
    pub integer: Array2<f64>,
    feedback: Option<Feedback>,
    /// `(G - H) H^-1`, where H is the second moments of the quantised inputs and G the cross moments of float and
    /// quantised inputs. It is the change of the weights that compensates for the errors of the quantised inputs.
    correction: Option<Array2<f64>>,
}

/// First seed of the calibration latents, far from the seeds that people usually look at.
const FIRST_SEED: u64 = 0xCA11_0000;
/// Number of latents for each input of a layer, so that the moments have full rank.
const LATENTS: usize = 4;
/// Smallest number of latents.
const FEWEST: usize = 512;

impl Inputs {
    /// Normalised z of the calibration latents, enough of them for layers with this many inputs.
    pub fn latents(z_dim: usize, widest: usize) -> Self {
        let count = FEWEST.max(LATENTS * widest);
        let mut z = Array2::from_shape_fn((count, z_dim), |(n, i)| {
            f64::from(gaussian(FIRST_SEED + n as u64, i as u32)) / 4096.0
        });
        for mut row in z.rows_mut() {
            let mean = row.iter().map(|v| v * v).sum::<f64>() / z_dim as f64;
            row /= (mean + 1e-8).sqrt();
        }
        Self::new(z.clone(), z)
    }

    /// Inputs from both networks' values.
    pub fn new(float: Array2<f64>, integer: Array2<f64>) -> Self {
        let count = float.nrows() as f64;
        let (x, q) = (centred(&float), centred(&integer));
        let moments = q.t().dot(&q) / count;
        let feedback = Feedback::new(&moments);
        let correction = feedback.as_ref().and_then(|feedback| {
            let off = x.t().dot(&q) / count - &moments;
            // H is symmetric: (G - H) H^-1 is the transpose of H^-1 (G - H)^T.
            let width = off.nrows();
            let damped = feedback.moments();
            let h = DMatrix::from_fn(width, width, |i, j| damped[[i, j]]);
            let solved = h.cholesky()?.solve(&DMatrix::from_fn(width, width, |i, j| off[[j, i]]));
            Some(Array2::from_shape_fn((width, width), |(i, j)| solved[(j, i)]))
        });
        Self { float, integer, feedback, correction }
    }

    /// The inputs of the next layer, after leaky ReLU, and the largest value before leaky ReLU.
    pub fn behind(&self, layer: &Layer, fitted: &Fitted) -> (Self, f64) {
        let leaky = |v: f64| if v < 0.0 { 0.2 * v } else { v };
        let float = layer.apply(&self.float);
        let largest = float.iter().fold(0f64, |m, v| m.max(v.abs()));
        (Self::new(float.mapv(leaky), fitted.layer().apply(&self.integer).mapv(leaky)), largest)
    }

    /// Quantises a layer so that its outputs at the quantised inputs are nearest to the float layer's outputs at the
    /// float inputs.
    pub fn fit(&self, layer: &Layer, width: WeightWidth) -> Fitted {
        let mut target = layer.weights.clone();
        if let Some(correction) = &self.correction {
            target += &layer.weights.dot(correction);
        }
        let rows = match (&self.feedback, width) {
            (Some(feedback), WeightWidth::I8) => feedback.round(&target, width).0,
            _ => target.rows().into_iter().map(|row| quantise_row(&row.to_vec(), width)).collect(),
        };
        let mut fitted = Fitted { rows, biases: layer.biases.to_vec(), error: 0.0 };
        let (wanted, made) = (layer.apply(&self.float), fitted.layer().apply(&self.integer));
        let (wanted_mean, made_mean) = (mean(&wanted), mean(&made));
        fitted.biases.iter_mut().zip(&(wanted_mean - made_mean)).for_each(|(bias, off)| *bias += off);
        let (wanted, made) = (centred(&wanted), centred(&made));
        let square: f64 = wanted.iter().map(|v| v * v).sum();
        let error: f64 = wanted.iter().zip(&made).map(|(a, b)| (a - b).powi(2)).sum();
        fitted.error = error / square.max(f64::MIN_POSITIVE);
        fitted
    }
}

fn mean(values: &Array2<f64>) -> Array1<f64> {
    values.mean_axis(Axis(0)).expect("there are calibration latents")
}

fn centred(values: &Array2<f64>) -> Array2<f64> {
    values - &mean(values)
}
