//! What the activations are like over calibration latents: how large, and for the weights that they meet, how correlated.

use std::collections::BTreeMap;

use ndarray::Array2;
use nickeldime_checkpoint::random::Stream;

use super::moments::Gram;

/// Headroom over the largest activation seen: other latents, a psi above 1 and random noise reach further. It costs one of
/// 15 bits, far below what the weights' rounding costs.
pub const HEADROOM: f64 = 2.0;

/// Widest inputs of a convolution (9 times its channels) whose moments are kept: they take the square of it.
const WIDEST: usize = 1500;
/// Inputs looked at in a batch of a convolution's feature maps.
const LOOKS: usize = 256;

/// A batch of feature maps, `[batch, channels, size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    /// Row-major.
    pub values: Vec<f32>,
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub size: usize,
}

impl Maps {
    /// 0 outside.
    fn at(&self, n: usize, c: usize, y: isize, x: isize) -> f32 {
        let inside = 0..self.size as isize;
        if inside.contains(&y) && inside.contains(&x) {
            self.values[((n * self.channels + c) * self.size + y as usize) * self.size + x as usize]
        } else {
            0.0
        }
    }
}

/// Which convolution meets the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 3x3 with padding 1.
    Plain,
    /// Transposed, of stride 2, with the filter behind it.
    Doubling,
    /// 1x1.
    Rgb,
}

/// The largest magnitude of every activation over the calibration latents, by name: `b8.conv0.mid` (demodulated, before the
/// resampling filter), `b8.conv0.out`, `b8.conv1.out`, `b8.img`, ...; other names do no harm. And where they were shown, the
/// second moments of what the weights of `b8.conv0`, `b8.conv1`, `b8.torgb`, ... are multiplied with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    largest: BTreeMap<String, f32>,
    moments: BTreeMap<String, Gram>,
}

impl Calibration {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one batch of an activation's values, in any order. Values that are not finite make the name unusable:
    /// [`Calibration::largest`] then gives infinity.
    pub fn observe(&mut self, name: &str, values: &[f32]) {
        let batch = values.iter().fold(0f32, |m, v| if v.is_finite() { m.max(v.abs()) } else { f32::INFINITY });
        match self.largest.get_mut(name) {
            Some(largest) => *largest = largest.max(batch),
            None => {
                self.largest.insert(name.to_owned(), batch);
            }
        }
    }

    /// The largest magnitude seen under a name.
    pub fn largest(&self, name: &str) -> Option<f32> {
        self.largest.get(name).copied()
    }

    /// Takes in what a convolution's weights meet: its input maps, and the factor on each of their channels (the styles, with
    /// the demodulation's mean), `[batch, channels]`.
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
        let inputs = LOOKS.min(batch * size * size);
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

    /// The second moments of a layer's inputs, `[tap][channel]`.
    pub fn moments(&self, name: &str) -> Option<Array2<f64>> {
        self.moments.get(name)?.mean()
    }
}

/// What tap `[a, b]` of a doubling convolution adds to the filtered output at `[y, x]`: `T[2y + a][2x + b] += w[a][b] in[y][x]`,
/// then `[1, 3, 3, 1] / 4` both ways.
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
