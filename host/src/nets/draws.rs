//! Random tensors, by the device's own generator.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use nickeldime_checkpoint::random::{Stream, q12};
use nickeldime_core::latent;

/// Independent N(0, 1) numbers in a tensor of `shape`, from the next 64 bits of `stream`.
pub fn normal<B: Backend, const D: usize>(stream: &mut Stream, shape: [usize; D], device: &B::Device) -> Tensor<B, D> {
    let seed = stream.bits();
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u32).map(|i| q12(latent::gaussian(seed, i))).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The latents z of `seeds` as the device draws them: `[seeds, z_dim]`.
pub fn latents<B: Backend>(seeds: &[u64], z_dim: usize, device: &B::Device) -> Tensor<B, 2> {
    let values: Vec<f32> =
        seeds.iter().flat_map(|&seed| (0..z_dim as u32).map(move |i| q12(latent::gaussian(seed, i)))).collect();
    Tensor::from_data(TensorData::new(values, [seeds.len(), z_dim]), device)
}

/// The noise maps of `seeds` as the device draws them, `[seeds, 1, size, size]` for each convolution.
pub fn noise_maps<B: Backend>(seeds: &[u64], resolutions: &[usize], device: &B::Device) -> Vec<Tensor<B, 4>> {
    resolutions
        .iter()
        .enumerate()
        .map(|(layer, &size)| {
            let mut values = Vec::with_capacity(seeds.len() * size * size);
            for &seed in seeds {
                for y in 0..size as u32 {
                    for x in 0..size as u32 {
                        values.push(q12(latent::noise(seed, layer as u32, y, x)));
                    }
                }
            }
            Tensor::from_data(TensorData::new(values, [seeds.len(), 1, size, size]), device)
        })
        .collect()
}
