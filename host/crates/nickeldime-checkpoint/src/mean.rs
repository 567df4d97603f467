//! Computes the mean of w for a file that does not have it.

use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, Ix1, Ix2};
use nickeldime_core::latent::gaussian;

use super::model::weights::Tensors;
use crate::model::arch::GeneratorArch;

/// Number of latents that the mean is taken over, the same as in rosinality's own tool.
pub(super) const LATENTS: usize = 4096;
/// Largest number of latents in a batch.
const BATCH: usize = 64;
/// Largest number of values of a batch in one layer, which bounds the memory for files with very wide layers.
const NUMBERS: usize = 1 << 15;
/// The learning-rate multiplier of the mapping network: its stored weights are 1 / 0.01 times as large.
const LR_MULT: f32 = 0.01;

/// The mean of w `[w_dim]` over the latents of the seeds 0, 1, ... that devices draw from. `tensors` are those of the
/// mapping network, in the shapes of `arch` (`docs/method.md`, section 1).
pub(super) fn mean_of_w(arch: &GeneratorArch, tensors: &Tensors) -> ArrayD<f32> {
    let widest = arch.z_dim.max(arch.w_dim).max(1);
    // A power of two divides the number of latents evenly.
    let batch = 1 << (NUMBERS / widest).clamp(1, BATCH).ilog2();
    let mut sum = Array1::<f64>::zeros(arch.w_dim);
    for start in (0..LATENTS).step_by(batch) {
        let z = |(n, i): (usize, usize)| f32::from(gaussian((start + n) as u64, i as u32)) / 4096.0;
        let mut x = Array2::from_shape_fn((batch, arch.z_dim), z);
        for mut row in x.rows_mut() {
            let power = row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32;
            row /= (power + 1e-8).sqrt();
        }
        for layer in 0..arch.mapping_layers {
            let (Some(weight), Some(bias)) = (matrix(tensors, layer), vector(tensors, layer)) else { continue };
            let gain = LR_MULT / (weight.ncols() as f32).sqrt();
            x = x.dot(&weight.t()) * gain + &(&bias * LR_MULT);
            x.mapv_inplace(|v| std::f32::consts::SQRT_2 * if v < 0.0 { 0.2 * v } else { v });
        }
        sum += &x.mapv(f64::from).sum_axis(Axis(0));
    }
    sum.mapv(|v| (v / LATENTS as f64) as f32).into_dyn()
}

fn matrix(tensors: &Tensors, layer: usize) -> Option<ArrayView2<'_, f32>> {
    tensors.get(&format!("mapping.fc{layer}.weight"))?.view().into_dimensionality::<Ix2>().ok()
}

fn vector(tensors: &Tensors, layer: usize) -> Option<ArrayView1<'_, f32>> {
    tensors.get(&format!("mapping.fc{layer}.bias"))?.view().into_dimensionality::<Ix1>().ok()
}
