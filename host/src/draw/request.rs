//! Requests for images, and their latents in the device's fixed point.

use ndarray::ArrayView2;
use nickeldime_core::generator::{Join, Latent, Sample};
use nickeldime_core::pack::NoiseKind;

use super::fixed::{fixed, q14};
use super::latents::{Latents, NoiseMode, device_noise};
use crate::numpy_random;

/// A request for images.
#[derive(Debug, Clone, Copy)]
pub struct DrawRequest<'a> {
    /// The latents, one for each image.
    pub latents: &'a Latents,
    /// The truncation psi: 1 means no truncation, 0 gives the mean image.
    pub psi: f32,
    /// The noise; `None` uses the model's default.
    pub noise: Option<NoiseMode>,
}

impl DrawRequest<'_> {
    /// The latents in the device's fixed point, for a model whose z has `z_dim` values.
    pub(super) fn fixed_latents(&self, z_dim: usize) -> Vec<FixedLatent> {
        let z = |&x: &f32| fixed(x, 12).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let w = |&x: &f32| fixed(x, 16);
        match self.latents {
            Latents::Seeds(seeds) => seeds.iter().map(|&seed| FixedLatent::Seed(seed)).collect(),
            Latents::NumpySeeds(seeds) => {
                let latent = |&seed| FixedLatent::Z(numpy_random::latent(seed, z_dim).iter().map(z).collect());
                seeds.iter().map(latent).collect()
            }
            Latents::LayerW(layers) => {
                let one = |ws: ArrayView2<'_, f32>| {
                    let first = ws.row(0);
                    // Projectors often give every layer the same w, which is sent once.
                    match ws.rows().into_iter().all(|row| row == first) {
                        true => FixedLatent::W(first.iter().map(w).collect()),
                        false => FixedLatent::Layers(ws.iter().map(w).collect()),
                    }
                };
                layers.outer_iter().map(one).collect()
            }
            Latents::Pairs(pairs) => pairs.iter().map(|pair| FixedLatent::Pair(pair.seeds, pair.join)).collect(),
            Latents::Z(rows) => {
                rows.rows().into_iter().map(|row| FixedLatent::Z(row.iter().map(z).collect())).collect()
            }
            Latents::W(rows) => {
                rows.rows().into_iter().map(|row| FixedLatent::W(row.iter().map(w).collect())).collect()
            }
        }
    }

    /// One sample for each latent, for the integer engine.
    pub(super) fn samples<'l>(&self, latents: &'l [FixedLatent], default: NoiseKind) -> Vec<Sample<'l>> {
        let mode = self.noise.unwrap_or(default.into());
        let psi = q14(self.psi);
        let sample = |(index, latent): (usize, &'l FixedLatent)| Sample {
            latent: match latent {
                FixedLatent::Seed(seed) => Latent::Seed(*seed),
                FixedLatent::Z(z) => Latent::Z(z),
                FixedLatent::W(w) => Latent::W(w),
                FixedLatent::Layers(layers) => Latent::Layers(layers),
                FixedLatent::Pair(seeds, join) => Latent::Pair { seeds: *seeds, join: *join },
            },
            psi,
            noise: device_noise(mode, self.latents.seed(index)),
        };
        latents.iter().enumerate().map(sample).collect()
    }
}

/// A latent in the form that the integer engine takes.
pub(super) enum FixedLatent {
    Seed(u64),
    Z(Vec<i16>),
    W(Vec<i32>),
    Layers(Vec<i32>),
    Pair([u64; 2], Join),
}
