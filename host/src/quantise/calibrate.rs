//! Measures the activations over calibration latents: how large they are, and how the inputs of the weights correlate.

use std::collections::BTreeMap;

use ndarray::Array2;
use nickeldime_checkpoint::random::Stream;

use super::moments::Gram;

/// Factor between the largest activation seen and the limit. Other latents, a psi above 1 and random noise give larger
/// activations. The factor costs one of 15 bits, which is far less than the rounding of the weights costs.
pub const HEADROOM: f64 = 2.0;

/// Largest number of inputs of a convolution (9 times its channels) whose moments are kept. Their memory grows with its
/// square.
const WIDEST: usize = 1500;
/// Number of inputs that are looked at in a batch of a convolution's feature maps, unless another is given.
pub const LOOKS: usize = 256;

/// A batch of feature maps, `[batch, channels, size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    /// The values, row-major.
    pub values: Vec<f32>,
    /// Number of channels.
    pub channels: usize,
    /// Height and width of a map.
    pub size: usize,
}

impl Maps {
    /// A value of a map; 0 outside of it.
    fn at(&self, n: usize, c: usize, y: isize, x: isize) -> f32 {
        let inside = 0..self.size as isize;
        if inside.contains(&y) && inside.contains(&x) {
            self.values[((n * self.channels + c) * self.size + y as usize) * self.size + x as usize]
        } else {
            0.0
        }
    }
}

/// The kind of convolution that reads the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A 3x3 convolution with padding 1.
    Plain,
    /// A transposed 3x3 convolution of stride 2, followed by the resampling filter.
    Doubling,
    /// A 1x1 convolution.
    Rgb,
}

/// The largest magnitude of every activation over the calibration latents, by name: `b8.conv0.mid` (demodulated, before
/// the resampling filter), `b8.conv0.out`, `b8.conv1.out`, `b8.img`, ...; other names are ignored. If they were
/// observed, also the second moments of the inputs of `b8.conv0`, `b8.conv1`, `b8.torgb`, ...
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    looks: usize,
    largest: BTreeMap<String, f32>,
    moments: BTreeMap<String, Gram>,
}

impl Calibration {
    /// A calibration without observations, which will look at `looks` inputs in a batch of a convolution's feature maps.
    pub fn new(looks: usize) -> Self {
        Self { looks, largest: BTreeMap::new(), moments: BTreeMap::new() }
    }

    /// Adds a batch of an activation's values, in any order. If a value is not finite, [`Calibration::largest`] gives
    /// infinity for this name.
    pub fn observe(&mut self, name: &str, values: &[f32]) {
        let batch = values.iter().fold(0f32, |m, v| if v.is_finite() { m.max(v.abs()) } else { f32::INFINITY });
        match self.largest.get_mut(name) {
            Some(largest) => *largest = largest.max(batch),
            None => {
                self.largest.insert(name.to_owned(), batch);
            }
        }
    }

    /// The largest magnitude seen under a name; `None` if the name was not observed.
    pub fn largest(&self, name: &str) -> Option<f32> {
        self.largest.get(name).copied()
    }

    /// Adds the inputs of a convolution's weights: its input maps, and the factor on each of their channels,
    /// `[batch, channels]` (the style times the mean of the demodulation).
    pub fn observe_inputs(&mut self, name: &str, kind: Kind, maps: &Maps, factors: &[f32]) {
        let taps = if kind == Kind::Rgb { 1 } else { 9 };
        let width = taps * maps.channels;
        if width > WIDEST {
            return;
        }
        let moments = self.moments.entry(name.to_owned()).or_insert_with(|| Gram::new(width));
        let batch = factors.len() / maps.channels;
        let size = if kind == Kind::Doubling { 2 * maps.size } else { maps.size };
        let mut stream = Stream::new(moments.count() as u64, "calibration", 0);
        let inputs = self.looks.min(batch * size * size);
        let mut seen = Array2::zeros((inputs, width));
        for mut row in seen.rows_mut() {
            let n = stream.below(batch);
            let (y, x) = (stream.below(size) as isize, stream.below(size) as isize);
            for (c, factor) in factors[n * maps.channels..][..maps.channels].iter().enumerate() {
                match kind {
                    Kind::Rgb => row[c] = factor * maps.at(n, c, y, x),
                    Kind::Plain => {
                        for tap in 0..9 {
                            let at = maps.at(n, c, y + tap / 3 - 1, x + tap % 3 - 1);
                            row[tap as usize * maps.channels + c] = factor * at;
                        }
                    }
                    Kind::Doubling => {
                        for tap in 0..9 {
                            let at = doubled(|y, x| maps.at(n, c, y, x), [y, x], [tap / 3, tap % 3]);
                            row[tap as usize * maps.channels + c] = factor * at;
                        }
                    }
                }
            }
        }
        moments.add(seen.view());
    }

    /// The second moments of a layer's inputs, in the order `[tap][channel]`; `None` if they were not observed.
    pub fn moments(&self, name: &str) -> Option<Array2<f64>> {
        self.moments.get(name)?.mean()
    }
}

/// The contribution of tap `[a, b]` of a doubling convolution to the filtered output at `[y, x]`:
/// `T[2y + a][2x + b] += w[a][b] in[y][x]`, then `[1, 3, 3, 1] / 4` along both axes.
fn doubled(input: impl Fn(isize, isize) -> f32, [y, x]: [isize; 2], [a, b]: [isize; 2]) -> f32 {
    let taps = [0.25f32, 0.75, 0.75, 0.25];
    let sources = |at: isize, tap: isize| {
        taps.into_iter().zip(0..).filter_map(move |(weight, k)| {
            let from = at - 1 + k - tap;
            (from.rem_euclid(2) == 0).then_some((weight, from.div_euclid(2)))
        })
    };
    sources(y, a).map(|(down, y)| sources(x, b).map(|(along, x)| down * along * input(y, x)).sum::<f32>()).sum()
}
