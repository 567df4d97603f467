//! Convolutions as matrix products of gathered windows.
//!
//! A convolution is one trilinear form of a large map x, weights w and a small map y,
//!
//! ```text
//! T(x, w, y) = sum  y[n, o, p, q] w[o, i, a, b] x[n, i, s p + a - pad, s q + b - pad]
//! ```
//!
//! and the correlation, the transposed convolution and the gradients of both are its derivatives: [`small`], [`large`] and
//! [`weights`]. Samples are shared out among threads; sums over samples go in an order of their own.

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

use super::{
    Map, Operation,
    product::{Matrix, multiply},
};

/// The number of elements of a gathered matrix that stay in a core's cache.
const CACHED: usize = 1 << 17;
/// The number of partial sums over samples, which is also the largest number of threads of a weight gradient.
const PARTS: usize = 8;

/// The shape of a square window and its movement over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The window's height and width.
    pub size: usize,
    /// The step between windows.
    pub stride: usize,
    /// The number of zeros on every side of the map.
    pub padding: usize,
}

impl Window {
    fn small(self, large: usize) -> usize {
        (large + 2 * self.padding - self.size) / self.stride + 1
    }

    /// True if a gathered window equals the map itself, so that nothing needs to be gathered.
    fn is_point(self) -> bool {
        self == Self { size: 1, stride: 1, padding: 0 }
    }

    /// The positions `p` of `0..count` whose `s p + offset - pad` lies in `0..large`.
    fn inside(self, offset: usize, count: usize, large: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let end = (large + self.padding).saturating_sub(offset).div_ceil(self.stride).min(count);
        first.min(end)..end
    }
}

/// `y = dT / dy`: correlation of x `[n, i, h, w]` with w `[o, i, k, k]`.
#[derive(Debug, Clone, Copy)]
pub struct Convolution(pub Window);

impl Operation<2> for Convolution {
    fn forward(&self, [x, w]: [Map; 2], kept: &mut Vec<Map>) -> Map {
        let y = small(self.0, &x, &w);
        kept.extend([x, w]);
        y
    }

    fn backward(&self, kept: &[Map], gradient: Map, [x, w]: [bool; 2]) -> [Option<Map>; 2] {
        let [_, _, height, width] = kept[0].dims();
        [
            x.then(|| large(self.0, &gradient, &kept[1], [height, width])),
            w.then(|| weights(self.0, &kept[0], &gradient)),
        ]
    }
}

/// `x = dT / dx`: transposed convolution of y `[n, o, h, w]` with w `[o, i, k, k]`; without padding,
/// to `[n, i, s (h - 1) + k, s (w - 1) + k]`.
#[derive(Debug, Clone, Copy)]
pub struct Transposed(pub Window);

impl Operation<2> for Transposed {
    fn forward(&self, [y, w]: [Map; 2], kept: &mut Vec<Map>) -> Map {
        let [_, _, height, width] = y.dims();
        let full = |count: usize| self.0.stride * (count - 1) + self.0.size - 2 * self.0.padding;
        let x = large(self.0, &y, &w, [full(height), full(width)]);
        kept.extend([y, w]);
        x
    }

    fn backward(&self, kept: &[Map], gradient: Map, [y, w]: [bool; 2]) -> [Option<Map>; 2] {
        [y.then(|| small(self.0, &gradient, &kept[1])), w.then(|| weights(self.0, &gradient, &kept[0]))]
    }
}

thread_local! {
    /// A thread's scratch buffer for gathered windows.
    static WINDOWS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The first `count` elements of a scratch buffer, with undefined contents.
fn at_least(scratch: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if scratch.len() < count {
        scratch.resize(count, 0.0);
    }
    &mut scratch[..count]
}

fn small(window: Window, x: &Map, w: &Map) -> Map {
    let ([n, inputs, h, width], [outputs, ..]) = (x.dims(), w.dims());
    let (rows, columns) = (window.small(h), window.small(width));
    let mut y = Map::zeros([n, outputs, rows, columns]);
    let depth = inputs * window.size * window.size;
    let (pixels, size) = (rows * columns, inputs * h * width);
    let weights = Matrix::new(w.values(), outputs, depth, depth);
    let samples = y.values_mut().par_chunks_mut(outputs * pixels).zip(x.values().par_chunks(size));
    samples.for_each(|(y, x)| {
        if window.is_point() {
            return multiply(y, pixels, weights, Matrix::new(x, inputs, pixels, pixels), false);
        }
        let gather = Gather { window, map: [h, width], columns };
        gather.tiles(x, rows, depth, |start, tile| {
            let windows = Matrix::new(tile, depth, tile.len() / depth, tile.len() / depth);
            multiply(&mut y[start..], pixels, weights, windows, false);
        });
    });
    y
}

fn large(window: Window, y: &Map, w: &Map, [h, width]: [usize; 2]) -> Map {
    let ([n, outputs, rows, columns], [_, inputs, ..]) = (y.dims(), w.dims());
    let Window { size, stride, padding } = window;
    if stride == 1 {
        // The correlation with the turned weights.
        let turned = Map::new(turned(w), [inputs, outputs, size, size]);
        return small(Window { padding: size - 1 - padding, ..window }, y, &turned);
    }
    let mut x = Map::zeros([n, inputs, h, width]);
    let depth = inputs * size * size;
    let pixels = rows * columns;
    let weights = Matrix::new(w.values(), outputs, depth, depth).transposed();
    let samples = x.values_mut().par_chunks_mut(inputs * h * width).zip(y.values().par_chunks(outputs * pixels));
    samples.for_each(|(x, y)| {
        let scatter = Gather { window, map: [h, width], columns };
        let tall = (CACHED / (depth * columns)).clamp(1, rows);
        WINDOWS.with_borrow_mut(|tile| {
            for first in (0..rows).step_by(tall) {
                let last = (first + tall).min(rows);
                let count = (last - first) * columns;
                let tile = at_least(tile, depth * count);
                let part = Matrix::new(&y[first * columns..], outputs, count, pixels);
                multiply(tile, count, weights, part, false);
                scatter.add_back(tile, first..last, x);
            }
        });
    });
    x
}

fn weights(window: Window, x: &Map, y: &Map) -> Map {
    let ([n, inputs, h, width], [_, outputs, rows, columns]) = (x.dims(), y.dims());
    let depth = inputs * window.size * window.size;
    let pixels = rows * columns;
    let share = n.div_ceil(PARTS);
    let samples =
        x.values().par_chunks(share * inputs * h * width).zip(y.values().par_chunks(share * outputs * pixels));
    let parts: Vec<Vec<f32>> = samples
        .map(|(xs, ys)| {
            let mut sum = vec![0.0; outputs * depth];
            for (x, y) in xs.chunks(inputs * h * width).zip(ys.chunks(outputs * pixels)) {
                if window.is_point() {
                    let (y, x) =
                        (Matrix::new(y, outputs, pixels, pixels), Matrix::new(x, inputs, pixels, pixels).transposed());
                    multiply(&mut sum, depth, y, x, true);
                    continue;
                }
                let gather = Gather { window, map: [h, width], columns };
                gather.tiles(x, rows, depth, |start, tile| {
                    let count = tile.len() / depth;
                    let y = Matrix::new(&y[start..], outputs, count, pixels);
                    multiply(&mut sum, depth, y, Matrix::new(tile, depth, count, count).transposed(), true);
                });
            }
            sum
        })
        .collect();
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    Map::new(sum, [outputs, inputs, window.size, window.size])
}

/// Swaps inputs and outputs and mirrors the taps: `[o, i, a, b]` to `[i, o, -a, -b]`.
fn turned(w: &Map) -> Vec<f32> {
    let [outputs, inputs, height, width] = w.dims();
    let taps = height * width;
    let w = w.values();
    let mut turned = vec![0.0; w.len()];
    for (o, weights) in w.chunks(inputs * taps).enumerate() {
        for (i, weights) in weights.chunks(taps).enumerate() {
            let at = (i * outputs + o) * taps;
            turned[at..at + taps].iter_mut().zip(weights.iter().rev()).for_each(|(t, w)| *t = *w);
        }
    }
    turned
}

/// Shifts a row of a map left by `offset - padding` and fills up with zeros.
fn shifted(from: &[f32], to: &mut [f32], width: usize, offset: usize, padding: usize) {
    let (left, right) = (offset.saturating_sub(padding), padding.saturating_sub(offset));
    let kept = to.len().saturating_sub(left + right);
    to[right..][..kept].copy_from_slice(&from[left..][..kept]);
    for row in to.chunks_exact_mut(width) {
        row[..right.min(width)].fill(0.0);
        row[width.saturating_sub(left)..].fill(0.0);
    }
}

vectorised! {
    /// Copies every `stride`-th number.
    fn spaced(from: &[f32], stride: usize, to: &mut [f32]) {
        match stride {
            1 => to.copy_from_slice(&from[..to.len()]),
            2 => {
                let Some((last, to)) = to.split_last_mut() else { return };
                let pairs = from.as_chunks::<2>().0;
                *last = from[2 * to.len()];
                to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            }
            _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
        }
    }
}

vectorised! {
    /// Adds numbers to every `stride`-th number.
    fn add_spaced(from: &[f32], stride: usize, to: &mut [f32]) {
        match stride {
            2 => {
                let Some((last, from)) = from.split_last() else { return };
                to[2 * from.len()] += last;
                to.as_chunks_mut::<2>().0.iter_mut().zip(from).for_each(|(pair, from)| pair[0] += from);
            }
            _ => to.iter_mut().step_by(stride).zip(from).for_each(|(to, from)| *to += from),
        }
    }
}

/// Conversion between a map and the windows on it.
struct Gather {
    window: Window,
    /// The height and width of the map.
    map: [usize; 2],
    /// The number of windows in a row.
    columns: usize,
}

impl Gather {
    /// The windows of `x` as matrices `[depth, count]`, some rows of windows at a time: `each` is told the index of the
    /// first.
    fn tiles(&self, x: &[f32], rows: usize, depth: usize, mut each: impl FnMut(usize, &[f32])) {
        let tall = (CACHED / (depth * self.columns)).clamp(1, rows);
        WINDOWS.with_borrow_mut(|tile| {
            for first in (0..rows).step_by(tall) {
                let last = (first + tall).min(rows);
                let tile = at_least(tile, depth * (last - first) * self.columns);
                self.gather(x, first..last, rows, tile);
                each(first * self.columns, tile);
            }
        });
    }

    fn gather(&self, x: &[f32], chosen: Range<usize>, rows: usize, tile: &mut [f32]) {
        let Window { size, stride, padding } = self.window;
        let [height, width] = self.map;
        let count = chosen.len() * self.columns;
        let mut lines = tile.chunks_exact_mut(count);
        for plane in x.chunks_exact(height * width) {
            for a in 0..size {
                let filled = self.window.inside(a, rows, height);
                let (first, last) = (filled.start.max(chosen.start), filled.end.min(chosen.end));
                for (b, line) in (0..size).zip(&mut lines) {
                    if first >= last {
                        line.fill(0.0);
                        continue;
                    }
                    let (before, line) = line.split_at_mut((first - chosen.start) * self.columns);
                    let (line, after) = line.split_at_mut((last - first) * self.columns);
                    before.fill(0.0);
                    after.fill(0.0);
                    let from = (stride * first + a - padding) * width;
                    if stride == 1 && self.columns == width {
                        shifted(&plane[from..][..line.len()], line, width, b, padding);
                        continue;
                    }
                    let inside = self.window.inside(b, self.columns, width);
                    let skip = stride * inside.start + b - padding;
                    for (row, line) in line.chunks_exact_mut(self.columns).enumerate() {
                        line[..inside.start].fill(0.0);
                        line[inside.end..].fill(0.0);
                        spaced(&plane[from + row * stride * width + skip..], stride, &mut line[inside.clone()]);
                    }
                }
            }
        }
    }

    fn add_back(&self, tile: &[f32], chosen: Range<usize>, x: &mut [f32]) {
        let Window { size, stride, padding } = self.window;
        let [height, width] = self.map;
        let count = chosen.len() * self.columns;
        let mut lines = tile.chunks_exact(count);
        for plane in x.chunks_exact_mut(height * width) {
            for a in 0..size {
                for (b, line) in (0..size).zip(&mut lines) {
                    let inside = self.window.inside(b, self.columns, width);
                    for (p, line) in chosen.clone().zip(line.chunks_exact(self.columns)) {
                        let row = stride * p + a;
                        if row < padding || row - padding >= height || inside.is_empty() {
                            continue;
                        }
                        let from = (row - padding) * width + stride * inside.start + b - padding;
                        add_spaced(&line[inside.clone()], stride, &mut plane[from..]);
                    }
                }
            }
        }
    }
}
