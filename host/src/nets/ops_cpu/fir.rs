//! Resampling with StyleGAN2's filter `[1, 3, 3, 1] / 8`, one axis at a time.

use std::cell::RefCell;

use rayon::prelude::*;

use super::{GRAIN, Map, Operation};

/// The filter's weights on one axis.
const TAPS: [f32; 4] = [0.125, 0.375, 0.375, 0.125];

/// Resamples every plane: puts `up - 1` zeros after each sample, pads with `before` and `after` zeros on both axes,
/// applies the filter times `gain`, and keeps every `down`-th sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fir {
    /// The factor, 1 or 2.
    pub up: usize,
    /// The factor, 1 or 2.
    pub down: usize,
    /// The number of zeros at the top and left.
    pub before: usize,
    /// The number of zeros at the bottom and right.
    pub after: usize,
    /// The gain of both axes together.
    pub gain: f32,
    /// The height and width of the input maps.
    pub size: usize,
}

impl Fir {
    /// The height and width of the results.
    fn result(&self) -> usize {
        (self.size * self.up + self.before + self.after - TAPS.len()) / self.down + 1
    }

    /// The transposed operation.
    fn adjoint(&self) -> Self {
        Self {
            up: self.down,
            down: self.up,
            before: TAPS.len() - 1 - self.before,
            after: self.size * self.up + self.before + 1 - self.result() * self.down - self.up,
            gain: self.gain,
            size: self.result(),
        }
    }

    fn run(&self, x: &Map) -> Map {
        let [n, c, height, width] = x.dims();
        assert_eq!([height, width], [self.size; 2], "the filter is for maps of another size");
        let (size, result) = (self.size * self.size, self.result() * self.result());
        let mut y = Map::zeros([n, c, self.result(), self.result()]);
        let planes = (GRAIN / result).max(1);
        let parts = y.values_mut().par_chunks_mut(planes * result).zip(x.values().par_chunks(planes * size));
        parts.for_each(|(y, x)| {
            LINE.with_borrow_mut(|line| {
                line.clear();
                line.resize(self.size * self.up + self.before + self.after, 0.0);
                for (y, x) in y.chunks_exact_mut(result).zip(x.chunks_exact(size)) {
                    plane(self, x, y, line);
                }
            });
        });
        y
    }
}

impl Operation<1> for Fir {
    fn forward(&self, [x]: [Map; 1], _: &mut Vec<Map>) -> Map {
        self.run(&x)
    }

    fn backward(&self, _: &[Map], gradient: Map, _: [bool; 1]) -> [Option<Map>; 1] {
        [Some(self.adjoint().run(&gradient))]
    }
}

thread_local! {
    /// A row with its padding.
    static LINE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

vectorised! {
    /// Filters columns first, while rows are read, and then each row.
    fn plane(fir: &Fir, x: &[f32], y: &mut [f32], line: &mut [f32]) {
        let Fir { up, down, before, gain, size, .. } = *fir;
        for (row, out) in y.chunks_exact_mut(fir.result()).enumerate() {
            let source = |tap: usize| {
                let at = (row * down + tap).checked_sub(before).filter(|at| at % up == 0)? / up;
                x.get(at * size..(at + 1) * size)
            };
            let line_inside = &mut line[before..];
            match [0, 1, 2, 3].map(source) {
                [Some(a), Some(b), Some(c), Some(d)] => {
                    let [outer, inner] = [TAPS[0] * gain, TAPS[1] * gain];
                    let rows = a.iter().zip(b).zip(c).zip(d);
                    for (l, (((a, b), c), d)) in line_inside.iter_mut().zip(rows) {
                        *l = outer * (a + d) + inner * (b + c);
                    }
                }
                some => {
                    line_inside[..(size - 1) * up + 1].fill(0.0);
                    for (tap, from) in some.into_iter().enumerate() {
                        let Some(from) = from else { continue };
                        let weight = TAPS[tap] * gain;
                        if up == 1 {
                            line_inside.iter_mut().zip(from).for_each(|(l, x)| *l += weight * x);
                        } else {
                            line_inside.iter_mut().step_by(2).zip(from).for_each(|(l, x)| *l += weight * x);
                        }
                    }
                }
            }
            let [outer, inner] = [TAPS[0], TAPS[1]];
            if down == 1 {
                let taps = line[3..].iter().zip(&line[2..]).zip(&line[1..]).zip(&*line);
                for (out, (((d, c), b), a)) in out.iter_mut().zip(taps) {
                    *out = outer * (a + d) + inner * (b + c);
                }
            } else {
                for (out, l) in out.iter_mut().zip(line.windows(4).step_by(2)) {
                    *out = outer * (l[0] + l[3]) + inner * (l[1] + l[2]);
                }
            }
        }
    }
}
