//! Every kernel gives what its definition says, on random and extreme inputs.

use nickeldime_core::kernel::layout::{conv_index, conv_len};
use nickeldime_core::kernel::rows::{channel, pair};
use nickeldime_core::kernel::{self, Activation, RequantPlan, Work};
use nickeldime_core::number::{Gain, Requant, leaky_relu, normalise, saturate_i32, shift_round};
use nickeldime_testkit::packs::{Random, rounds};

/// Random, largest, smallest and zero values in turn.
fn values(random: &mut Random, len: usize, limit: i32, kind: u32) -> Vec<i16> {
    let value = |random: &mut Random| match kind % 4 {
        0 => random.signed(limit),
        1 => limit,
        2 => -limit,
        _ => [0, limit, -limit][random.below(3) as usize],
    };
    (0..len).map(|_| value(random) as i16).collect()
}

fn weights(random: &mut Random, len: usize, kind: u32) -> Vec<i8> {
    // 127 * 9 * 17 * 32766 < 2^31 for all the sizes below.
    values(random, len, 127, kind).iter().map(|&v| v as i8).collect()
}

/// Rows are `[channel][x]`; so are the images of these tests.
fn modulated(channels: &[&[i16]]) -> Vec<i16> {
    let width = channels[0].len();
    let mut row = Vec::new();
    for pair in channels.chunks(2) {
        row.extend([0; 2]);
        row.extend((0..width).flat_map(|x| [pair[0][x], pair.get(1).map_or(0, |b| b[x])]));
        row.extend([0; 2]);
    }
    row
}

/// Weights `[output][tap][input]` as a pack has them.
fn laid_out(taps: &[i8], inputs: usize, outputs: usize) -> Vec<i8> {
    let mut weights = vec![0; conv_len(inputs, outputs)];
    for (at, &weight) in taps.iter().enumerate() {
        let (o, tap, i) = (at / inputs / 9, at / inputs % 9, at % inputs);
        weights[conv_index(inputs, o, tap, i)] = weight;
    }
    weights
}

/// What becomes of accumulators.
struct Finish {
    requants: Vec<[i32; 2]>,
    biases: Vec<i32>,
    noise: Vec<i32>,
}

impl Finish {
    /// Accumulators of `bits` bits become values of about 24.
    fn new(random: &mut Random, outputs: usize, width: usize, bits: i32) -> Self {
        Self {
            requants: (0..outputs).map(|_| [(1 << 30) + random.signed(1 << 29), 30 + bits - 24]).collect(),
            biases: (0..outputs).map(|_| random.signed(1 << 22)).collect(),
            noise: (0..width).map(|_| random.signed(1 << 20)).collect(),
        }
    }

    fn kernel(&self) -> Activation<'_> {
        Activation { requants: &self.requants, biases: &self.biases, noise: &self.noise, limit: 30000 }
    }

    fn requant(&self, o: usize) -> Requant {
        Requant { multiplier: self.requants[o][0], shift: self.requants[o][1] as u8 }
    }

    fn activated(&self, value: i32, o: usize, x: usize) -> i16 {
        let v = leaky_relu(value.clamp(-(1 << 28), (1 << 28) - 1) + self.biases[o] + self.noise[x]);
        ((v + 128) >> 8).clamp(-30000, 30000) as i16
    }
}

/// `in[i][y][x]` with zeros outside.
struct Image<'a> {
    values: &'a [i16],
    size: usize,
    channels: usize,
}

impl Image<'_> {
    fn at(&self, y: isize, x: isize, i: usize) -> i64 {
        let inside = 0..self.size as isize;
        if inside.contains(&y) && inside.contains(&x) {
            self.values[(i * self.size + y as usize) * self.size + x as usize].into()
        } else {
            0
        }
    }

    fn modulated_row(&self, y: isize) -> Option<Vec<i16>> {
        let y = usize::try_from(y).ok().filter(|&y| y < self.size)?;
        let row = |i| &self.values[(i * self.size + y) * self.size..][..self.size];
        Some(modulated(&(0..self.channels).map(row).collect::<Vec<_>>()))
    }
}

/// Room for a row of any of the cases.
struct Room {
    taps: Vec<i16>,
    acc: Vec<i32>,
}

impl Room {
    fn new() -> Self {
        Self::of(64)
    }

    /// With so many accumulators.
    fn of(acc: usize) -> Self {
        Self { taps: vec![7; 9 * 18], acc: vec![7; acc] }
    }

    fn work(&mut self) -> Work<'_> {
        Work { taps: &mut self.taps, acc: &mut self.acc }
    }
}

/// `(seed, size, inputs, outputs)` of the cases; channel counts include odd ones and 1, sizes those that no kernel's loop
/// takes.
fn cases() -> impl Iterator<Item = (u32, usize, usize, usize)> {
    let sizes = [(4, 1, 1), (5, 2, 3), (8, 7, 5), (4, 16, 8), (6, 17, 4), (12, 3, 13)];
    (0..rounds(8) as u32).flat_map(move |seed| sizes.map(|(size, i, o)| (seed, size, i, o)))
}

#[test]
fn dot_products_equal_their_sums() {
    let mut random = Random::new(1);
    for (kind, len) in (0..rounds(8) as u32).flat_map(|kind| [0, 1, 3, 15, 64, 257, 2048].map(|len| (kind, len))) {
        let x = values(&mut random, len, 32767, kind);
        let (w8, w16) = (weights(&mut random, len, kind + 1), values(&mut random, len, 32767, kind / 2));
        let exact8: i64 = w8.iter().zip(&x).map(|(&w, &x)| i64::from(w) * i64::from(x)).sum();
        let exact16: i64 = w16.iter().zip(&x).map(|(&w, &x)| i64::from(w) * i64::from(x)).sum();
        assert_eq!(kernel::dot_i8_wide(&w8, &x), exact8);
        assert_eq!(kernel::dot_i16(&w16, &x), exact16);
    }
}

#[test]
fn convolution_equals_its_definition() {
    for (seed, size, inputs, outputs) in cases() {
        let mut random = Random::new(seed);
        let map = values(&mut random, size * size * inputs, 32766, seed);
        let taps = weights(&mut random, 9 * inputs * outputs, seed / 2);
        let image = Image { values: &map, size, channels: inputs };
        let (laid, finish) = (laid_out(&taps, inputs, outputs), Finish::new(&mut random, outputs, size, 30));
        let mut room = Room::new();
        for y in 0..size as isize {
            let rows = [y - 1, y, y + 1].map(|y| image.modulated_row(y));
            let mut out = vec![0; size * outputs];
            let rows = rows.each_ref().map(Option::as_deref);
            kernel::conv3x3_row(rows, size, inputs, &laid, finish.kernel(), &mut room.work(), &mut out);
            let first = usize::from(rows[0].is_none());
            let present: Vec<_> = rows.into_iter().flatten().collect();
            for (way, room_for) in [channel::conv3x3_row, pair::conv3x3_row].into_iter().zip([64, size + 4]) {
                let (mut again, mut room) = (vec![0; size * outputs], Room::of(room_for));
                way(&present, first, size, inputs, &laid, finish.kernel(), &mut room.work(), &mut again);
                assert_eq!(again, out);
            }
            for (at, &out) in out.iter().enumerate() {
                let (o, x) = (at / size, at % size);
                let mut exact = 0;
                for (k, i) in (0..9).flat_map(|k| (0..inputs).map(move |i| (k, i))) {
                    let (dy, dx) = (k as isize / 3 - 1, k as isize % 3 - 1);
                    exact += i64::from(taps[(o * 9 + k) * inputs + i]) * image.at(y + dy, x as isize + dx, i);
                }
                assert_eq!(out, finish.activated(finish.requant(o).apply(exact as i32), o, x));
            }
        }
    }
}

#[test]
fn transposed_convolution_equals_its_definition() {
    for (seed, size, inputs, outputs) in cases() {
        let mut random = Random::new(seed);
        let map = values(&mut random, size * size * inputs, 32766, seed);
        let taps = weights(&mut random, 9 * inputs * outputs, seed / 2);
        let image = Image { values: &map, size, channels: inputs };
        // The scatter form: T[2y + a][2x + b] += w[a][b] in[y][x].
        let wide = 2 * size + 1;
        let mut exact = vec![0i64; wide * wide * outputs];
        for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
            for (k, o) in (0..9).flat_map(|k| (0..outputs).map(move |o| (k, o))) {
                let at = ((2 * y + k / 3) * outputs + o) * wide + 2 * x + k % 3;
                for i in 0..inputs {
                    exact[at] += i64::from(taps[(o * 9 + k) * inputs + i]) * image.at(y as isize, x as isize, i);
                }
            }
        }
        let (laid, finish) = (laid_out(&taps, inputs, outputs), Finish::new(&mut random, outputs, wide, 38));
        let (len, mut room) = (kernel::middle_len(size), Room::new());
        for t in 0..wide {
            let (above, row) = (image.modulated_row(t as isize / 2 - 1), image.modulated_row(t as isize / 2));
            let mut out = vec![7; len * outputs];
            let (above, row, requants) = (above.as_deref(), row.as_deref(), &finish.requants);
            kernel::transposed3x3_row(above, row, t % 2, size, inputs, &laid, requants, &mut room.work(), &mut out);
            let taps = if t % 2 == 0 { [(row, 0), (above, 2)] } else { [(row, 1), (None, 0)] };
            let present: Vec<_> = taps.into_iter().filter_map(|(row, tap)| Some((row?, tap))).collect();
            for (way, room_for) in [channel::transposed3x3_row, pair::transposed3x3_row].into_iter().zip([64, len]) {
                let (mut again, mut room) = (vec![7; len * outputs], Room::of(room_for));
                way(&present, size, inputs, &laid, requants, &mut room.work(), &mut again);
                assert_eq!(again, out);
            }
            for (at, &out) in out.iter().enumerate() {
                let (o, x) = (at / len, (at % len).wrapping_sub(1));
                let exact = if x < wide { exact[(t * outputs + o) * wide + x] } else { 0 };
                let value = finish.requant(o).apply(exact as i32);
                assert_eq!(i32::from(out), value.clamp(-32767, 32767));
            }
        }
    }
}

#[test]
fn energy_and_modulation_equal_their_definitions() {
    for (seed, size, inputs, _) in cases() {
        let mut random = Random::new(seed);
        let styles = values(&mut random, inputs, 32767, seed);
        let mut taps = weights(&mut random, 9 * inputs, seed / 2);
        taps[0] = -128;
        let exact: i64 =
            (0..9 * inputs).map(|at| i64::from(taps[at]).pow(2) * i64::from(styles[at % inputs]).pow(2)).sum();
        assert_eq!(kernel::energy(&laid_out(&taps, inputs, 1), &styles, 0), exact as u64);
        let second = [&vec![0; 9 * inputs][..], &taps].concat();
        assert_eq!(kernel::energy(&laid_out(&second, inputs, 2), &styles, 1), exact as u64);

        let row = values(&mut random, size * inputs, 32767, seed + 1);
        for shift in [15, 16, 22, 30] {
            let mut out = vec![7; kernel::padded(inputs) / 2 * kernel::plane_len(size)];
            kernel::modulate_row(&row, &styles, shift, size, &mut out);
            let exact: Vec<Vec<i16>> = (row.chunks(size).zip(&styles))
                .map(|(row, &s)| {
                    let exact = |&x| f64::from(x) * f64::from(s) / f64::from(1 << shift);
                    row.iter().map(|x: &i16| (exact(x) + 0.5).floor() as i16).collect()
                })
                .collect();
            assert_eq!(out, modulated(&exact.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }
    }
}

#[test]
fn the_image_layers_equal_their_definitions() {
    for (seed, size, inputs, _) in cases() {
        let mut random = Random::new(seed);
        let map = values(&mut random, size * inputs, 32766, seed);
        let mut taps: Vec<i16> = weights(&mut random, inputs, seed / 2).into_iter().map(i16::from).collect();
        let exact = |x: usize| (0..inputs).map(|i| i32::from(taps[i]) * i32::from(map[i * size + x])).sum::<i32>();
        let exact: Vec<i32> = (0..size).map(exact).collect();
        taps.resize(kernel::padded(inputs), 0);
        let mut acc = vec![7; size];
        kernel::mix(&modulated(&map.chunks(size).collect::<Vec<_>>()), &taps, &mut acc);
        assert_eq!(acc, exact);

        let image = values(&mut random, size, 32767, seed + 1);
        for (multiplier, shift, bias, limit) in [(1 << 30, 47, -900, 1 << 24), (1 << 30, 20, i32::MAX, 30000)] {
            let (mut rgb, requant) = (image.clone(), Requant { multiplier, shift });
            kernel::blend_row(&acc, RequantPlan::new(requant), bias, limit, &mut rgb);
            for ((&ours, &before), &acc) in rgb.iter().zip(&image).zip(&acc) {
                let own = i64::from(requant.apply(acc)) + i64::from(bias);
                let own = own.clamp(-i64::from(limit), limit.into());
                assert_eq!(i64::from(ours), (i64::from(before) + own).clamp(-32767, 32767));
            }
        }
    }
}

#[test]
fn resampling_equals_its_definition() {
    for (seed, size, channels, _) in cases() {
        let mut random = Random::new(seed);
        let wide = 2 * size + 1;
        let map = values(&mut random, wide * wide * channels, 32767, seed);
        let image = Image { values: &map, size: wide, channels };
        let taps = [1i64, 3, 3, 1];
        let finish = Finish::new(&mut random, channels, wide - 1, 30);
        let middle = |y: isize| {
            let y = usize::try_from(y).ok().filter(|&y| y < wide)?;
            let row = |c: usize| [&[0][..], &map[(c * wide + y) * wide..][..wide], &[0; 2]].concat();
            Some((0..channels).flat_map(row).collect::<Vec<i16>>())
        };
        // Pads of 1: from 2 * size + 1 to 2 * size. The second scale lacks the shift that the kernels want.
        let mut room = Room::new();
        for (y, shift) in (0..2 * size as isize).zip([27, 24, 20].into_iter().cycle()) {
            let fir = Requant { multiplier: 5 << 28, shift };
            let mut out = vec![0; 2 * size * channels];
            let rows = [y - 1, y, y + 1, y + 2].map(middle);
            let rows = rows.each_ref().map(Option::as_deref);
            kernel::fir_row(rows, size, fir, finish.kernel(), &mut room.work(), &mut out);
            for (at, &out) in out.iter().enumerate() {
                let (c, x) = (at / (2 * size), (at % (2 * size)) as isize);
                let mut exact = 0;
                for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                    exact += taps[a as usize] * taps[b as usize] * image.at(y - 1 + a, x - 1 + b, c);
                }
                assert_eq!(out, finish.activated(fir.apply(exact as i32), c, x as usize));
            }
        }

        // Zero-insertion, pads of 2 and 1, gain 4.
        let colour = values(&mut random, size * size, 32767, seed);
        let small = Image { values: &colour, size, channels: 1 };
        let plain = |y: isize| usize::try_from(y).ok().filter(|&y| y < size).map(|y| &colour[size * y..][..size]);
        for y in 0..2 * size as isize {
            let far = if y % 2 == 0 { y / 2 - 1 } else { y / 2 + 1 };
            let mut out = vec![0; 2 * size];
            kernel::upsample_rgb_row(plain(y / 2).unwrap(), plain(far), &mut out);
            for (x, &out) in out.iter().enumerate() {
                let mut exact = 0;
                for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                    let (sy, sx) = (y + a - 2, x as isize + b - 2);
                    if sy % 2 == 0 && sx % 2 == 0 {
                        exact += taps[a as usize] * taps[b as usize] * small.at(sy / 2, sx / 2, 0);
                    }
                }
                assert_eq!(i64::from(out), (exact + 8) >> 4);
            }
        }
    }
}

#[test]
fn numbers_round_to_nearest_and_saturate() {
    let mut random = Random::new(3);
    let extremes = [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1, 1 << 40, -(1 << 40) - 1];
    for index in 0..rounds(3000) {
        let wide = (i64::from(random.signed(i32::MAX - 1)) << 31) ^ i64::from(random.word());
        let v = *extremes.get(index).unwrap_or(&(wide >> random.below(60)));
        for shift in -70..70 {
            let scaled = match shift {
                0.. => {
                    let (v, half) = (i128::from(v), (1i128 << shift) >> 1);
                    (v + half) >> shift
                }
                _ => (i128::from(v) << (-shift).min(63)).clamp(-i128::from(i64::MAX), i128::from(i64::MAX)),
            };
            let ours = i128::from(shift_round(v, shift));
            // Saturation keeps the low bits 0; beyond 62 bits everything rounds to 0.
            let slack = if shift < 0 { 1i128 << (-shift).min(62) } else { i128::from(shift > 62) };
            let slack = if shift < 0 && scaled.abs() < 1 << 62 { 0 } else { slack };
            assert!((ours - scaled).abs() <= slack, "{v} {shift}: {ours} {scaled}");
        }
        let (acc, multiplier) = (v as i32, random.word() as i32);
        for shift in [0, 1, 30, 31, 62, 255] {
            let exact = i128::from(acc) * i128::from(multiplier);
            let shift_used = shift.min(62);
            let exact = (exact + ((1i128 << shift_used) >> 1)) >> shift_used;
            let exact = exact.clamp(-(1 << 30) + 1, (1 << 30) - 1);
            assert_eq!(i128::from(Requant { multiplier, shift }.apply(acc)), exact);
        }
        let slope = if acc < 0 { 0.2 } else { 1.0 };
        assert!((f64::from(leaky_relu(acc)) - slope * f64::from(acc)).abs() <= 0.7);
        assert_eq!(i64::from(saturate_i32(v)), v.clamp(-2_147_483_647, 2_147_483_647));
    }
}

#[test]
fn demodulation_is_exact_to_thirty_bits() {
    let mut random = Random::new(4);
    for index in 0..rounds(5000) {
        let energy = ((u64::from(random.word()) << 32 | u64::from(random.word())) >> random.below(63)).max(1);
        let energy = [1, u64::MAX, 4, 1 << 62, (1 << 62) - 1].get(index).copied().unwrap_or(energy);
        let gain = Gain { mantissa: (1 << 30) + random.below(1 << 30), exponent: random.signed(40) as i8 };
        let exact = f64::from(gain.mantissa) * 2f64.powi(gain.exponent.into()) / (energy as f64).sqrt();
        let Requant { multiplier, shift } = gain.over_sqrt(energy);
        let ours = f64::from(multiplier) * 2f64.powi(-i32::from(shift));
        if exact < 2f64.powi(-32) {
            // Every accumulator rounds to 0.
            assert_eq!(ours, 0.0);
        } else if exact < 2f64.powi(29) {
            assert!((ours / exact - 1.0).abs() < 2f64.powi(-29), "{energy} {gain:?}: {ours} {exact}");
        } else {
            assert!(ours >= 2f64.powi(29));
        }
    }
    let gain = Gain { mantissa: 1 << 30, exponent: 127 };
    assert_eq!(gain.over_sqrt(0), Requant::default());
    let low = Gain { mantissa: 1 << 30, exponent: -128 };
    assert_eq!(low.over_sqrt(u64::MAX), Requant::default());
}

#[test]
fn block_floating_point_uses_all_its_bits() {
    let mut random = Random::new(5);
    for index in 0..rounds(2000) {
        let shift = random.below(31);
        let mut values: Vec<i32> = (0..9).map(|_| random.signed(i32::MAX - 1) >> shift).collect();
        match index {
            0 => values = vec![i32::MIN, i32::MAX, 0],
            1 => values = vec![0; 4],
            2 => values = vec![1, 0],
            3 => values = vec![65535, -65536],
            _ => {}
        }
        let mut mantissas = vec![7; values.len()];
        let k = normalise(&values, &mut mantissas);
        let largest = mantissas.iter().map(|m| m.unsigned_abs()).max().unwrap();
        if values.iter().all(|&v| v == 0) {
            assert_eq!((k, largest), (0, 0));
            continue;
        }
        assert!((16384..=32767).contains(&largest), "{values:?}");
        for (&m, &v) in mantissas.iter().zip(&values) {
            assert!((f64::from(m) * 2f64.powi(k) - f64::from(v)).abs() <= 2f64.powi(k));
        }
    }
}
