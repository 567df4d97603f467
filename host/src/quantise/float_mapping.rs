//! The mapping network in f64, to find how large its layers get.

use nickeldime_core::latent::gaussian;

/// A fully connected layer with its gains applied.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Columns.
    pub inputs: usize,
    /// `[out][in]`.
    pub weights: Vec<f64>,
    /// `[out]`.
    pub biases: Vec<f64>,
}

impl Layer {
    /// `W x + b`.
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.weights.chunks(self.inputs).zip(&self.biases);
        rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b).collect()
    }

    /// Output width.
    pub fn outputs(&self) -> usize {
        self.biases.len()
    }
}

/// Seeds of the latents that are mapped: far from those that people look at first.
const SEEDS: std::ops::Range<u64> = 0xCA11_0000..0xCA11_0200;

/// The largest value of every mapping layer before its activation, over the calibration latents, and the ws.
pub(super) fn map_calibration_latents(layers: &[Layer], z_dim: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut largest = vec![0f64; layers.len()];
    let ws = SEEDS.map(|seed| {
        let mut x: Vec<f64> = (0..z_dim as u32).map(|i| f64::from(gaussian(seed, i)) / 4096.0).collect();
        let mean = x.iter().map(|v| v * v).sum::<f64>() / z_dim as f64;
        x.iter_mut().for_each(|v| *v /= (mean + 1e-8).sqrt());
        for (layer, largest) in layers.iter().zip(&mut largest) {
            x = layer.apply(&x);
            *largest = x.iter().fold(*largest, |m, v| m.max(v.abs()));
            x.iter_mut().filter(|v| **v < 0.0).for_each(|v| *v *= 0.2);
        }
        x
    });
    let ws = ws.collect();
    (largest, ws)
}
