//! Compares every kernel of this processor with its portable twin, on random and extreme inputs.

use core::fmt::Write;

use nickeldime_core::hash;
use nickeldime_core::kernel::layout::{self, plane_len};
use nickeldime_core::kernel::{
    Activation, RequantPlan, Work, conv3x3_row, middle_len, modulate_row, modulated_index, modulated_len, portable,
    selected, transposed3x3_row,
};
use nickeldime_core::number::Requant;

use crate::machine::{self, Carve, Out, Random};

/// Widths that the kernels' loops take, and some that they leave to their portable twins.
const WIDTHS: [usize; 9] = [4, 8, 12, 16, 32, 64, 1, 5, 10];
/// Numbers of pairs of channels, which cover every remainder of the unrolled loops.
const PAIRS: [usize; 8] = [1, 2, 3, 4, 5, 8, 13, 26];

/// A source of inputs of one kind.
struct Inputs {
    random: Random,
    /// The kind: random, largest, smallest, or any of the extremes.
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

/// Prints the number of comparisons in this many rounds. The first difference ends them.
pub fn run(rounds: u32) -> Option<()> {
    // SAFETY: this is the only call in this job.
    let workspace = unsafe { machine::workspace() };
    let mut compared = 0;
    for round in 0..rounds {
        let inputs = &mut Inputs { random: Random::new(round), kind: round };
        for width in WIDTHS {
            for pairs in PAIRS {
                let buffers = &mut Buffers::new(workspace, width, pairs)?;
                let single = sums(inputs, buffers);
                let rows = |single| {
                    Ok(single + both(inputs, buffers)? + convolved(inputs, buffers)? + transposed(inputs, buffers)?)
                };
                match single.and_then(rows) {
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

/// Buffers for inputs, and for two sets of results.
struct Buffers<'w> {
    width: usize,
    pairs: usize,
    /// Three modulated rows, or four intermediate ones.
    rows: &'w mut [i16],
    /// The same modulated rows as this processor lays them out.
    own: &'w mut [i16],
    weights: &'w mut [i8],
    noise: &'w mut [i32],
    taps: [&'w mut [i16]; 2],
    words: [&'w mut [i32]; 2],
    /// The accumulators of two output channels, `middle_len` each.
    both: [&'w mut [i32]; 2],
    halves: [&'w mut [i16]; 2],
    /// Modulated rows of up to 24 channels.
    channels: [&'w mut [i16]; 3],
}

impl<'w> Buffers<'w> {
    fn new(workspace: &'w mut [i32], width: usize, pairs: usize) -> Option<Self> {
        let (mut carve, middle) = (Carve::new(workspace), middle_len(width));
        Some(Self {
            width,
            pairs,
            rows: carve.halves((3 * pairs * plane_len(width)).max(4 * middle).max(19 * width))?,
            own: carve.halves(3 * modulated_len(2 * pairs, width))?,
            weights: carve.bytes(36 * pairs)?,
            noise: carve.words(middle)?,
            taps: [carve.halves(18 * pairs)?, carve.halves(18 * pairs)?],
            words: [carve.words(middle)?, carve.words(middle)?],
            both: [carve.words(2 * middle)?, carve.words(2 * middle)?],
            halves: [carve.halves(middle)?, carve.halves(middle)?],
            channels: [
                carve.halves(24 * (width + 2))?,
                carve.halves(24 * (width + 2))?,
                carve.halves(24 * (width + 2))?,
            ],
        })
    }
}

/// Copies modulated rows of the portable layout to this processor's.
fn regroup(rows: &[i16], pairs: usize, width: usize, own: &mut [i16]) {
    own.fill(0);
    let lens = (pairs * plane_len(width), modulated_len(2 * pairs, width));
    for (row, own) in rows.chunks_exact(lens.0).zip(own.chunks_exact_mut(lens.1)) {
        for channel in 0..2 * pairs {
            for x in 0..width + 2 {
                let from = layout::modulated_index(2 * pairs, width, portable::LANES, x, channel);
                own[modulated_index(2 * pairs, width, x, channel)] = row[from];
            }
        }
    }
}

/// The kernels that sum over channels.
fn sums(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, pairs, rows, own, weights, taps: [taps, twin_taps], words: [acc, twin], .. } = buffers;
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
    let (len, own_len) = (pairs * plane_len(width), modulated_len(2 * pairs, width));
    regroup(rows, pairs, width, own);
    let rows = [&rows[..len], &rows[len..2 * len], &rows[2 * len..3 * len]];
    if !selected::TWO_OUTPUTS {
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
    }
    selected::mix(&own[2 * own_len..], &taps[..2 * pairs], &mut acc[..width]);
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
    let Buffers { width, pairs, rows, own, weights, both: [acc, twin], .. } = buffers;
    let (width, pairs, middle) = (*width, *pairs, middle_len(*width));
    let mut compared = 0;
    let (len, own_len) = (pairs * plane_len(width), modulated_len(2 * pairs, width));
    let rows = [&rows[..len], &rows[len..2 * len], &rows[2 * len..3 * len]];
    let own = [&own[..own_len], &own[own_len..2 * own_len], &own[2 * own_len..3 * own_len]];
    weights.fill_with(|| inputs.value(127) as i8);
    for (first, columns) in [(0, width), (0, width / 2), (width / 2, width - width / 2), (width, 0)] {
        for count in 1..=3 {
            let (rows, own, weights) = (&rows[..count], &own[..count], &weights[..12 * pairs * count]);
            let [(a, b), (twin_a, twin_b)] = [&mut *acc, &mut *twin].map(|both| both.split_at_mut(middle));
            let (a, b, twin_a, twin_b) =
                (&mut a[..columns], &mut b[..columns], &mut twin_a[..columns], &mut twin_b[..columns]);
            selected::correlate_pair(own, weights, width, first, [&mut *a, &mut *b]);
            portable::correlate_pair(rows, weights, width, first, [&mut *twin_a, &mut *twin_b]);
            same("correlate, first of a pair", a, twin_a)?;
            same("correlate, second of a pair", b, twin_b)?;
            compared += 2;
        }
    }
    let taps = [&weights[..12 * pairs], &weights[24 * pairs..]];
    let sources = [(rows[0], taps[0]), (rows[1], taps[1])];
    let own = [(own[0], taps[0]), (own[1], taps[1])];
    let all = 2 * width + 1;
    for (first, columns) in [(0, all), (0, width), (width / 2 * 2, all - width / 2 * 2), (2 * width, 1)] {
        for count in 1..=2 {
            let [(a, b), (twin_a, twin_b)] = [&mut *acc, &mut *twin].map(|both| both.split_at_mut(middle));
            let (a, b, twin_a, twin_b) =
                (&mut a[..columns], &mut b[..columns], &mut twin_a[..columns], &mut twin_b[..columns]);
            selected::spread_pair(&own[..count], width, first, [&mut *a, &mut *b]);
            portable::spread_pair(&sources[..count], width, first, [&mut *twin_a, &mut *twin_b]);
            same("spread, first of a pair", a, twin_a)?;
            same("spread, second of a pair", b, twin_b)?;
            compared += 2;
        }
    }
    Ok(compared)
}

/// Whole rows of a 3x3 convolution, of 1 to 3 outputs, in buffers that hold all of their accumulators and half of them.
fn convolved(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers {
        width,
        pairs,
        rows,
        own,
        weights,
        noise,
        taps: [taps, _],
        both: [acc, twin],
        channels: [out, other, _],
        ..
    } = buffers;
    let (width, pairs) = (*width, *pairs);
    let (len, own_len) = (pairs * plane_len(width), modulated_len(2 * pairs, width));
    let rows = [&rows[..len], &rows[len..2 * len], &rows[2 * len..3 * len]];
    let own = [&own[..own_len], &own[own_len..2 * own_len], &own[2 * own_len..3 * own_len]];
    inputs.words(noise, 1 << 28);
    let mut compared = 0;
    for (window, outputs) in [([0, 1, 2], 2), ([3, 1, 2], 1), ([0, 1, 3], 2), ([3, 1, 3], 1)] {
        let (mut requants, mut biases) = ([[0; 2]; 2], [0; 2]);
        for requant in &mut requants {
            *requant = [inputs.value(i32::MAX), 24 + (inputs.random.word() % 20) as i32];
        }
        inputs.words(&mut biases, 1 << 28);
        let noise = &noise[..width];
        let finish = Activation { requants: &requants[..outputs], biases: &biases[..outputs], noise, limit: 20_000 };
        let first = usize::from(window[0] == 3);
        let count = window.iter().filter(|&&row| row < 3).count();
        let mut present = [&[][..]; 3];
        present.iter_mut().zip(window.iter().filter_map(|&row| rows.get(row))).for_each(|(to, row)| *to = row);
        let [(a, b)] = [&mut *twin].map(|both| both.split_at_mut(width));
        let share = 12 * pairs;
        let taps_of = &weights[first * share..(first + count) * share];
        portable::correlate_pair(&present[..count], taps_of, width, 0, [&mut *a, &mut b[..width]]);
        for (o, (acc, out)) in
            [&*a, &b[..width]].into_iter().zip(other.chunks_exact_mut(width)).take(outputs).enumerate()
        {
            let [multiplier, shift] = requants[o];
            let plan = RequantPlan::new(Requant { multiplier, shift: shift as u8 });
            portable::activate_row(acc, noise, plan, biases[o], 20_000, out);
        }
        for room in [2 * width, width + 4] {
            let work = &mut Work { taps, acc: &mut acc[..room] };
            let window = window.map(|row| own.get(row).copied());
            out.fill(-1);
            conv3x3_row(window, width, 2 * pairs, weights, finish, work, &mut out[..outputs * width]);
            same("convolution", &out[..outputs * width], &other[..outputs * width])?;
            compared += 1;
        }
    }
    Ok(compared)
}

/// Whole rows of a transposed convolution, likewise.
fn transposed(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers {
        width, pairs, rows, own, weights, taps: [taps, _], both: [acc, twin], channels: [out, other, _], ..
    } = buffers;
    let (width, pairs, middle) = (*width, *pairs, middle_len(*width));
    let (len, own_len) = (pairs * plane_len(width), modulated_len(2 * pairs, width));
    let (share, columns) = (12 * pairs, 2 * width + 1);
    let mut compared = 0;
    for (above, row, parity, outputs) in
        [(true, true, 0, 2), (false, true, 0, 1), (true, false, 0, 2), (true, true, 1, 1)]
    {
        let mut requants = [[0; 2]; 2];
        for requant in &mut requants {
            *requant = [inputs.value(i32::MAX), 24 + (inputs.random.word() % 26) as i32];
        }
        let all = [(row && parity == 1, 0, 1), (row && parity == 0, 0, 0), (above && parity == 0, 1, 2)];
        let mut sources = [(&[][..], &[][..]); 2];
        let present = all.iter().filter(|(there, ..)| *there);
        let count = present.clone().count();
        for (source, &(_, row, tap)) in sources.iter_mut().zip(present) {
            *source = (&rows[row * len..(row + 1) * len], &weights[tap * share..(tap + 1) * share]);
        }
        let [(a, b)] = [&mut *twin].map(|both| both.split_at_mut(middle));
        a.fill(0);
        b.fill(0);
        portable::spread_pair(&sources[..count], width, 0, [&mut a[1..=columns], &mut b[1..=columns]]);
        let requants = &requants[..outputs];
        for ((&[multiplier, shift], acc), out) in requants.iter().zip([&*a, &*b]).zip(other.chunks_exact_mut(middle)) {
            let plan = RequantPlan::new(Requant { multiplier, shift: shift as u8 });
            portable::requantise_row(acc, plan, out);
        }
        for room in [2 * middle, middle] {
            let work = &mut Work { taps, acc: &mut acc[..room] };
            let own = |there: bool, row: usize| there.then(|| &own[row * own_len..(row + 1) * own_len]);
            let out = &mut out[..outputs * middle];
            out.fill(-1);
            transposed3x3_row(own(above, 1), own(row, 0), parity, width, 2 * pairs, weights, requants, work, out);
            same("transposed convolution", out, &other[..outputs * middle])?;
            compared += 1;
        }
    }
    Ok(compared)
}

/// The kernels that take values one by one.
fn values(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, rows, noise, words: [acc, twin_acc], halves: [out, twin], .. } = buffers;
    let middle = middle_len(*width);
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
    Ok(compared + image(inputs, buffers)? + modulated(inputs, buffers)? + random(inputs, buffers)?)
}

/// The rows of an image: doubled, and as bytes.
fn image(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, rows, channels: [out, twin, _], .. } = buffers;
    let width = *width;
    inputs.halves(rows, 32767);
    let (near, far) = rows[..2 * width].split_at(width);
    for far in [None, Some(far)] {
        selected::upsample_rgb_row(near, far, &mut out[..2 * width]);
        portable::upsample_rgb_row(near, far, &mut twin[..2 * width]);
        same("doubled image", &out[..2 * width], &twin[..2 * width])?;
    }
    for fraction in [0, 3, 6, 7, 8, 12] {
        let bytes = [&mut *out, &mut *twin].map(|halves| &mut bytemuck::cast_slice_mut::<i16, u8>(halves)[..3 * width]);
        let [out, twin] = bytes;
        selected::to_bytes(&rows[..3 * width], fraction, out);
        portable::to_bytes(&rows[..3 * width], fraction, twin);
        same("bytes", out, twin)?;
    }
    selected::copy_row(&rows[..3 * width], &mut out[..3 * width]);
    same("copy", &out[..3 * width], &rows[..3 * width])?;
    Ok(9)
}

/// The modulation of whole rows of 1 to 19 channels.
fn modulated(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { width, rows, channels: [own, twin, regrouped], .. } = buffers;
    let width = *width;
    let mut compared = 0;
    for count in [1, 2, 3, 7, 8, 9, 16, 19] {
        let mut styles = [0; 19];
        let (styles, row) = (&mut styles[..count], &mut rows[..count * width]);
        inputs.halves(row, 32767);
        inputs.halves(styles, 32767);
        for shift in [15, 16, 22, 30] {
            let planes = twin.chunks_exact_mut(plane_len(width));
            for ((channels, styles), plane) in row.chunks(2 * width).zip(styles.chunks(2)).zip(planes) {
                let [a, b] =
                    [&channels[..width], channels.get(width..).filter(|b| !b.is_empty()).unwrap_or(&channels[..width])];
                plane.fill(0);
                let styles = [styles[0], styles.get(1).copied().unwrap_or(0)];
                portable::modulate(a, b, styles, shift, &mut plane[2..2 * width + 2]);
            }
            let pairs = count.div_ceil(2);
            let own = &mut own[..modulated_len(count, width)];
            let regrouped = &mut regrouped[..modulated_len(count, width)];
            own.fill(-1);
            modulate_row(row, styles, shift, width, own);
            regroup(&twin[..pairs * plane_len(width)], pairs, width, regrouped);
            same("modulate", own, regrouped)?;
            compared += 1;
        }
    }
    Ok(compared)
}

/// The random words.
fn random(inputs: &mut Inputs, buffers: &mut Buffers<'_>) -> Result<u32, Difference> {
    let Buffers { rows, words: [acc, twin_acc], .. } = buffers;
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
    for (at, extreme) in [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 0x7FF, 0x800].into_iter().enumerate() {
        if let (Some(acc), Some(twin)) = (acc.get_mut(at), twin_acc.get_mut(at)) {
            (*acc, *twin) = (extreme as i32, extreme as i32);
        }
    }
    let (before, shift) = (inputs.random.word() % 17, 1 + inputs.random.word() % 30);
    let multiplier = inputs.value(i32::MAX);
    selected::normal_row(acc, before, multiplier, shift);
    portable::normal_row(twin_acc, before, multiplier, shift);
    same("normal", acc, twin_acc)?;
    Ok(3)
}
