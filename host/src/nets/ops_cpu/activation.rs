//! Bias, noise, leaky ReLU, gain and clamp, computed in one pass.

use rayon::prelude::*;

use super::{GRAIN, Map, Operation};

/// `clamp(slope(x + bias [+ noise]) * gain)`, with slope 0.2 below 0. Inputs: x `[n, c, h, w]`, bias `[1, c, 1, 1]`, and with
/// `N` 3 noise `[n or 1, 1, h, w]`.
#[derive(Debug, Clone, Copy)]
pub struct BiasAct<const N: usize> {
    /// The slope for positive inputs.
    pub gain: f32,
    /// The largest absolute value of a result.
    pub limit: f32,
}

/// The derivative of [`BiasAct`] along a direction: t `[n, c, h, w]` times the slope at y, where y is its result. The gradient
/// is that of t alone, as the slope is constant almost everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// The gain of [`BiasAct`].
    pub gain: f32,
    /// The largest absolute value of a result of [`BiasAct`].
    pub limit: f32,
}

const SLOPE: f32 = 0.2;

impl<const N: usize> BiasAct<N> {
    fn gate(&self) -> Gate {
        Gate { gain: self.gain, limit: self.limit }
    }
}

impl<const N: usize> Operation<N> for BiasAct<N> {
    fn forward(&self, inputs: [Map; N], kept: &mut Vec<Map>) -> Map {
        let mut inputs = inputs.into_iter();
        let (Some(mut x), Some(bias)) = (inputs.next(), inputs.next()) else {
            unreachable!("an activation has a map and a bias")
        };
        let [_, c, h, w] = x.dims();
        let pixels = h * w;
        let maps = inputs.next();
        let noise = maps.as_ref().map(Map::values);
        let bias = bias.values();
        let planes = (GRAIN / pixels).max(1);
        x.values_mut().par_chunks_mut(planes * pixels).enumerate().for_each(|(part, x)| {
            for (i, x) in x.chunks_exact_mut(pixels).enumerate() {
                let plane = part * planes + i;
                // One map for all samples, or one for each.
                let noise = noise.map(|noise| &noise[plane / c * pixels % noise.len()..][..pixels]);
                activate(x, bias[plane % c], noise, self.gain, self.limit);
            }
        });
        kept.push(x.clone());
        kept.extend(maps);
        x
    }

    fn backward(&self, kept: &[Map], gradient: Map, wanted: [bool; N]) -> [Option<Map>; N] {
        let [_, c, h, w] = gradient.dims();
        let pixels = h * w;
        let through = self.gate().through(gradient, &kept[0]);
        let values = through.values();
        let mut gradients = [const { None }; N];
        for (i, gradient) in gradients.iter_mut().enumerate().skip(1).filter(|(i, _)| wanted[*i]) {
            *gradient = Some(match i {
                1 => Map::new(sums(values, c, pixels), [1, c, 1, 1]),
                _ => Map::new(over_channels(values, c, pixels, kept[1].values().len()), kept[1].dims()),
            });
        }
        gradients[0] = Some(through);
        gradients
    }
}

impl Gate {
    fn through(self, mut t: Map, y: &Map) -> Map {
        let parts = t.values_mut().par_chunks_mut(GRAIN).zip(y.values().par_chunks(GRAIN));
        parts.for_each(|(t, y)| slope(t, y, self.gain, self.limit));
        t
    }
}

impl Operation<2> for Gate {
    fn forward(&self, [t, y]: [Map; 2], kept: &mut Vec<Map>) -> Map {
        let through = self.through(t, &y);
        kept.push(y);
        through
    }

    fn backward(&self, kept: &[Map], gradient: Map, [t, _]: [bool; 2]) -> [Option<Map>; 2] {
        [t.then(|| self.through(gradient, &kept[0])), None]
    }
}

vectorised! {
    fn activate(x: &mut [f32], bias: f32, noise: Option<&[f32]>, gain: f32, limit: f32) {
        let act = |x: f32| (if x < 0.0 { SLOPE * x } else { x } * gain).clamp(-limit, limit);
        match noise {
            Some(noise) => x.iter_mut().zip(noise).for_each(|(x, noise)| *x = act(*x + bias + noise)),
            None => x.iter_mut().for_each(|x| *x = act(*x + bias)),
        }
    }
}

vectorised! {
    fn slope(t: &mut [f32], y: &[f32], gain: f32, limit: f32) {
        for (t, y) in t.iter_mut().zip(y) {
            let slope = if *y < 0.0 { SLOPE * gain } else { gain };
            *t *= if y.abs() < limit { slope } else { 0.0 };
        }
    }
}

/// Sums over samples and pixels for each of `c` channels, in double precision. Behind the minibatch deviation the sums
/// are small differences of large numbers.
fn sums(values: &[f32], c: usize, pixels: usize) -> Vec<f32> {
    let planes: Vec<f64> = values.par_chunks(pixels).with_min_len((GRAIN / pixels).max(1)).map(total).collect();
    (0..c).map(|channel| planes.iter().skip(channel).step_by(c).sum::<f64>() as f32).collect()
}

vectorised! {
    /// Sums in 16 interleaved parts, which the compiler turns into vector instructions.
    fn total(values: &[f32]) -> f64 {
        let (blocks, rest) = values.as_chunks::<16>();
        let mut sums = [0.0f64; 16];
        for block in blocks {
            sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value)).sum::<f64>()
    }
}

/// Sums over channels into `count` numbers. If one noise map serves all samples, it also sums over samples.
fn over_channels(values: &[f32], c: usize, pixels: usize, count: usize) -> Vec<f32> {
    let mut sums = vec![0.0; count];
    for (plane, values) in values.chunks_exact(pixels).enumerate() {
        let at = plane / c * pixels % count;
        sums[at..at + pixels].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    sums
}
