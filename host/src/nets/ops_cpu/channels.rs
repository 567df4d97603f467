//! Modulation: multiplies every channel of a sample by a number.

use rayon::prelude::*;

use super::{GRAIN, Map, Operation};

/// The product of x `[n, c, h, w]` and s `[n, c, 1, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct ScaleChannels;

impl Operation<2> for ScaleChannels {
    fn forward(&self, [x, s]: [Map; 2], kept: &mut Vec<Map>) -> Map {
        kept.extend([x.clone(), s.clone()]);
        scaled(x, &s)
    }

    fn backward(&self, kept: &[Map], gradient: Map, [x, s]: [bool; 2]) -> [Option<Map>; 2] {
        let scales = s.then(|| {
            let [_, _, h, w] = gradient.dims();
            let pixels = h * w;
            let least = (GRAIN / pixels).max(1);
            let planes = gradient.values().par_chunks(pixels).zip(kept[0].values().par_chunks(pixels));
            Map::new(planes.with_min_len(least).map(|(g, x)| dot(g, x)).collect(), kept[1].dims())
        });
        [x.then(|| scaled(gradient, &kept[1])), scales]
    }
}

fn scaled(mut x: Map, s: &Map) -> Map {
    let [_, _, h, w] = x.dims();
    let pixels = h * w;
    let planes = (GRAIN / pixels).max(1);
    let parts = x.values_mut().par_chunks_mut(planes * pixels).zip(s.values().par_chunks(planes));
    parts.for_each(|(x, s)| {
        for (x, s) in x.chunks_exact_mut(pixels).zip(s) {
            scale(x, *s);
        }
    });
    x
}

vectorised! {
    fn scale(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

vectorised! {
    /// The scalar product, summed in 16 interleaved parts, which the compiler turns into vector instructions.
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
        let mut sums = [0.0f32; 16];
        for (a, b) in a.iter().zip(b) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
    }
}
