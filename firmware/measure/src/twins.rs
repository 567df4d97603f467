//! Every kernel of this processor against its portable twin, on random and extreme inputs.

use core::fmt::Write;

use nickeldime_core::hash;
use nickeldime_core::kernel::{RequantPlan, middle_len, plane_len, portable, selected};
use nickeldime_core::number::Requant;

use crate::machine::{self, Carve, Out, Random};

/// Widths that the kernels' loops take, and some that they leave to their twins.
const WIDTHS: [usize; 9] = [4, 8, 12, 16, 32, 64, 1, 5, 10];
/// Pairs of channels: every remainder of the unrolled loops.
const PAIRS: [usize; 8] = [1, 2, 3, 4, 5, 8, 13, 26];

/// Inputs of one kind.
struct Inputs {
    random: Random,
    /// Random, largest, smallest, or any of the extremes.
    kind: u32,
}

impl Inputs {
    fn value(&mut self, limit: i32) -> i32 {
        match self.kind % 4 {
            0 => self.random.signed(limit),
            1 => limit,
            2 => -limit,
            _ => [-limit, limit, 0][self.random.word() as usize % 3],
        }
    }

    fn halves(&mut self, values: &mut [i16], limit: i32) {
        values.fill_with(|| self.value(limit) as i16);
    }

    fn words(&mut self, values: &mut [i32], limit: i32) {
        values.fill_with(|| self.value(limit));
    }

    /// A scale of each form, with a bias that its values leave room for.
    fn scale(&mut self) -> (RequantPlan, i32) {
        let requant = Requant { multiplier: self.value(i32::MAX), shift: 20 + (self.random.word() % 30) as u8 };
        (RequantPlan::new(requant), self.value(1 << 28))
    }
}

/// The name of a kernel that differs from its twin.
type Difference = &'static str;

fn same<T: PartialEq>(kernel: Difference, ours: &[T], twin: &[T]) -> Result<(), Difference> {
    if ours == twin { Ok(()) } else { Err(kernel) }
}

/// Prints how many comparisons there were over so many rounds; the first difference ends them.
pub fn run(rounds: u32) -> Option<()> {
    // SAFETY: this job's one call.
    let workspace = unsafe { machine::workspace() };
    let mut compared = 0;
    for round in 0..rounds {
        let inputs = &mut Inputs { random: Random::new(round), kind: round };
        for width in WIDTHS {
            for pairs in PAIRS {
                let buffers = &mut Buffers::new(workspace, width, pairs)?;
                let single = sums(inputs, buffers);
                match single.and_then(|single| Ok(single + both(inputs, buffers)?)) {
                    Ok(kernels) => compared += kernels,
                    Err(kernel) => return differs(kernel, round, width, pairs),
                }
            }
            match values(inputs, &mut Buffers::new(workspace, width, 1)?) {
                Ok(kernels) => compared += kernels,
                Err(kernel) => return differs(kernel, round, width, 1),
            }
        }
    }
    writeln!(Out, "{compared}").ok()
}

fn differs(kernel: Difference, round: u32, width: usize, pairs: usize) -> Option<()> {
    let _ = writeln!(Out, "{kernel} differs from its twin: round {round}, width {width}, {pairs} pairs of channels");
    None
}

/// Inputs, and results twice.
struct Buffers<'w> {
    width: usize,
    pairs: usize,
    /// Three modulated rows, or four intermediate ones.
    rows: &'w mut [i16],
    weights: &'w mut [i8],
    noise: &'w mut [i32],
    taps: [&'w mut [i16]; 2],
    words: [&'w mut [i32]; 2],
    /// The accumulators of two output channels, `middle_len` each.
    both: [&'w mut [i32]; 2],
    halves: [&'w mut [i16]; 2],
}

impl<'w> Buffers<'w> {
    fn new(workspace: &'w mut [i32], width: usize, pairs: usize) -> Option<Self> {
        let (mut carve, middle) = (Carve::new(workspace), middle_len(width));
        Some(Self {
            width,
            pairs,
            rows: carve.halves((3 * pairs * plane_len(width)).max(4 * middle))?,
            weights: carve.bytes(36 * pairs)?,
            noise: carve.words(middle)?,
            taps: [carve.halves(18 * pairs)?, carve.halves(18 * pairs)?],
            words: [carve.words(middle)?, carve.words(middle)?],
            both: [carve.words(2 * middle)?, carve.words(2 * middle)?],
            halves: [carve.halves(middle)?, carve.halves(middle)?],
        })
    }
}

/// The kernels that sum over channels.
fn sums(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, pairs, rows, weights, taps: [taps, twin_taps], words: [acc, twin], .. } = buffers;
    let (width, pairs) = (*width, *pairs);
    inputs.halves(rows, 32766);
    for plane in rows.chunks_exact_mut(plane_len(width)) {
        plane[..2].fill(0);
        plane[2 * width + 2..].fill(0);
    }
    weights.fill_with(|| inputs.value(127) as i8);
    for odd in [false, true] {
        selected::expand(weights, odd, taps);
        portable::expand(weights, odd, twin_taps);
        same("expand", taps, twin_taps)?;
    }
    let len = pairs * plane_len(width);
    let rows = [&rows[..len], &rows[len..2 * len], &rows[2 * len..3 * len]];
    for count in 1..=3 {
        let (rows, taps) = (&rows[..count], &taps[..6 * pairs * count]);
        selected::correlate(rows, taps, &mut acc[..width]);
        portable::correlate(rows, taps, &mut twin[..width]);
        same("correlate", &acc[..width], &twin[..width])?;
    }
    let sources = [(rows[0], &taps[..6 * pairs]), (rows[1], &taps[6 * pairs..12 * pairs])];
    for count in 1..=2 {
        selected::spread(&sources[..count], &mut acc[..2 * width + 1]);
        portable::spread(&sources[..count], &mut twin[..2 * width + 1]);
        same("spread", &acc[..2 * width + 1], &twin[..2 * width + 1])?;
    }
    selected::mix(rows[2], &taps[..2 * pairs], &mut acc[..width]);
    portable::mix(rows[2], &taps[..2 * pairs], &mut twin[..width]);
    same("mix", &acc[..width], &twin[..width])?;
    for len in [0, 1, 7, 8, 9, 18 * pairs] {
        let (w8, w16) = (weights.get(..len).unwrap_or_default(), rows[2].get(..len).unwrap_or_default());
        same("dot, 8 bits", &[selected::dot_i8_wide(w8, rows[0])], &[portable::dot_i8_wide(w8, rows[0])])?;
        same("dot, 16 bits", &[selected::dot_i16(w16, rows[0])], &[portable::dot_i16(w16, rows[0])])?;
    }
    Ok(20)
}

/// The kernels that sum over channels for two output channels at once, over whole rows and over strips of them.
fn both(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, pairs, rows, weights, both: [acc, twin], .. } = buffers;
    let (width, pairs, middle) = (*width, *pairs, middle_len(*width));
    let mut compared = 0;
    let len = pairs * plane_len(width);
    let rows = [&rows[..len], &rows[len..2 * len], &rows[2 * len..3 * len]];
    weights.fill_with(|| inputs.value(127) as i8);
    for (first, columns) in [(0, width), (0, width / 2), (width / 2, width - width / 2), (width, 0)] {
        for count in 1..=3 {
            let (rows, weights) = (&rows[..count], &weights[..12 * pairs * count]);
            let [(a, b), (twin_a, twin_b)] = [&mut *acc, &mut *twin].map(|both| both.split_at_mut(middle));
            let (a, b, twin_a, twin_b) =
                (&mut a[..columns], &mut b[..columns], &mut twin_a[..columns], &mut twin_b[..columns]);
            selected::correlate_pair(rows, weights, width, first, [&mut *a, &mut *b]);
            portable::correlate_pair(rows, weights, width, first, [&mut *twin_a, &mut *twin_b]);
            same("correlate, first of a pair", a, twin_a)?;
            same("correlate, second of a pair", b, twin_b)?;
            compared += 2;
        }
    }
    let taps = [&weights[..12 * pairs], &weights[24 * pairs..]];
    let sources = [(rows[0], taps[0]), (rows[1], taps[1])];
    let all = 2 * width + 1;
    for (first, columns) in [(0, all), (0, width), (width / 2 * 2, all - width / 2 * 2), (2 * width, 1)] {
        for count in 1..=2 {
            let [(a, b), (twin_a, twin_b)] = [&mut *acc, &mut *twin].map(|both| both.split_at_mut(middle));
            let (a, b, twin_a, twin_b) =
                (&mut a[..columns], &mut b[..columns], &mut twin_a[..columns], &mut twin_b[..columns]);
            selected::spread_pair(&sources[..count], width, first, [&mut *a, &mut *b]);
            portable::spread_pair(&sources[..count], width, first, [&mut *twin_a, &mut *twin_b]);
            same("spread, first of a pair", a, twin_a)?;
            same("spread, second of a pair", b, twin_b)?;
            compared += 2;
        }
    }
    Ok(compared)
}

/// The kernels that take values one by one.
fn values(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, rows, noise, words: [acc, twin_acc], halves: [out, twin], .. } = buffers;
    let (width, middle) = (*width, middle_len(*width));
    let mut compared = 0;
    for limit in [32767, 1, 9000] {
        let (scale, bias) = inputs.scale();
        inputs.words(acc, i32::MAX);
        inputs.words(noise, 1 << 28);
        selected::activate_row(acc, noise, scale, bias, limit, out);
        portable::activate_row(acc, noise, scale, bias, limit, twin);
        same("activate", out, twin)?;
        selected::requantise_row(acc, scale, out);
        portable::requantise_row(acc, scale, twin);
        same("requantise", out, twin)?;
        inputs.halves(out, 32767);
        twin.copy_from_slice(out);
        for limit in [1 << 24, 65534, 65533, i32::from(limit)] {
            selected::blend_row(acc, scale, bias, limit, out);
            portable::blend_row(acc, scale, bias, limit, twin);
            same("blend", out, twin)?;
        }
        compared += 6;
    }
    inputs.halves(rows, 32767);
    for (before, missing) in [(0, 4), (9, 4), (3, 0), (5, 3)] {
        let row = |at: usize| (at != missing).then_some(&rows[at * middle..(at + 1) * middle]);
        let rows = [row(0), row(1), row(2), row(3)];
        selected::filter_down(rows, before, acc);
        portable::filter_down(rows, before, twin_acc);
        same("filter down", acc, twin_acc)?;
        selected::filter_along(acc);
        portable::filter_along(twin_acc);
        same("filter along", acc, twin_acc)?;
        compared += 2;
    }
    for shift in [15, 16, 22, 30] {
        let styles = [inputs.value(32767) as i16, inputs.value(32767) as i16];
        let (a, b) = (&rows[..width], &rows[middle..middle + width]);
        selected::modulate(a, b, styles, shift, &mut out[..2 * width]);
        portable::modulate(a, b, styles, shift, &mut twin[..2 * width]);
        same("modulate", &out[..2 * width], &twin[..2 * width])?;
        compared += 1;
    }
    let mut state = [(); 8].map(|()| inputs.random.word());
    let mut twin_state = state;
    let blocks: &[[u8; 64]] = bytemuck::cast_slice(rows.get(..64).unwrap_or_default());
    hash::compress(&mut state, blocks);
    hash::compress_portable(&mut twin_state, blocks);
    same("SHA-256", &state, &twin_state)?;
    let key = [inputs.random.word(), inputs.random.word()];
    let (stream, first) = (inputs.random.word(), inputs.random.word() >> 8);
    selected::random_row(key, stream, first, bytemuck::cast_slice_mut(acc));
    portable::random_row(key, stream, first, bytemuck::cast_slice_mut(twin_acc));
    same("random", acc, twin_acc)?;
    Ok(compared + 2)
}
