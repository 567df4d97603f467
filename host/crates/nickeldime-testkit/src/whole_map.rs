//! The synthesis network map by map, as in `docs/format.md`: slow, in 64 bits, and with nothing of the engine's except
//! its number arithmetic. The streaming engine must agree with it.

use nickeldime_core::kernel::layout::{conv_index, conv_len};
use nickeldime_core::latent;
use nickeldime_core::number::{Requant, leaky_relu, normalise, shift_round};
use nickeldime_core::pack::Pack;
use nickeldime_core::pack::layout::{Conv, Dense, ToRgb, WeightWidth};

use nickeldime_core::generator::Noise;

/// A feature map, `[channel][y][x]`.
struct Map {
    size: usize,
    channels: Vec<Vec<i64>>,
}

impl Map {
    fn new(size: usize, channels: usize) -> Self {
        Self { size, channels: vec![vec![0; size * size]; channels] }
    }

    /// A value of the map; 0 outside of it.
    fn at(&self, c: usize, y: i64, x: i64) -> i64 {
        let inside = 0..self.size as i64;
        if inside.contains(&y) && inside.contains(&x) {
            self.channels[c][y as usize * self.size + x as usize]
        } else {
            0
        }
    }

    fn each(&mut self, mut value: impl FnMut(usize, i64, i64) -> i64) {
        let size = self.size;
        for (c, channel) in self.channels.iter_mut().enumerate() {
            for (at, v) in channel.iter_mut().enumerate() {
                *v = value(c, (at / size) as i64, (at % size) as i64);
            }
        }
    }
}

struct Oracle<'a> {
    bytes: &'a [u8],
    /// Mantissas of w, and their exponent.
    w: (Vec<i16>, i32),
    noise: Noise,
}

impl Oracle<'_> {
    fn i8(&self, offset: u32, index: usize) -> i64 {
        i64::from(self.bytes[offset as usize + index] as i8)
    }

    fn i16(&self, offset: u32, index: usize) -> i64 {
        let at = offset as usize + 2 * index;
        i64::from(i16::from_le_bytes(self.bytes[at..at + 2].try_into().unwrap()))
    }

    fn i32(&self, offset: u32, index: usize) -> i64 {
        let at = offset as usize + 4 * index;
        i64::from(i32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap()))
    }

    fn either(&self, width: WeightWidth, offset: u32, index: usize) -> i64 {
        match width {
            WeightWidth::I8 => self.i8(offset, index),
            WeightWidth::I16 => self.i16(offset, index),
        }
    }

    fn dense(&self, layer: &Dense, x: &[i16], exponent: i32) -> Vec<i32> {
        let limit = i64::from(i32::MAX);
        let row = |o: usize| {
            let products = x
                .iter()
                .enumerate()
                .map(|(i, &x)| self.either(layer.width, layer.weights, o * x_len(layer) + i) * i64::from(x));
            let scaled =
                shift_round(products.sum::<i64>() * self.i32(layer.scales, o), i32::from(layer.shift) - exponent);
            (scaled.clamp(-limit, limit) + self.i32(layer.biases, o)).clamp(-limit, limit) as i32
        };
        (0..layer.outputs.into()).map(row).collect()
    }

    fn styles(&self, affine: &Dense) -> (Vec<i16>, i32) {
        let values = self.dense(affine, &self.w.0, self.w.1);
        let mut mantissas = vec![0; values.len()];
        let exponent = normalise(&values, &mut mantissas) - i32::from(affine.fraction);
        (mantissas, exponent)
    }

    fn noise_at(&self, conv: &Conv, layer: u32, size: usize, y: i64, x: i64) -> i64 {
        let scaled = |v: i64, scale: Requant| i64::from(scale.apply(v as i32)).clamp(-(1 << 28), 1 << 28);
        match (self.noise, &conv.noise_map) {
            (Noise::Random(seed), _) => scaled(latent::noise(seed, layer, y as u32, x as u32).into(), conv.noise),
            (Noise::Const, Some(map)) => {
                scaled(self.either(map.width, map.values, y as usize * size + x as usize), map.scale)
            }
            _ => 0,
        }
    }

    fn conv(&self, conv: &Conv, layer: u32, input: &Map) -> Map {
        let (inputs, outputs) = (input.channels.len(), usize::from(conv.outputs));
        let (styles, _) = self.styles(&conv.affine);
        assert!(conv.weights as usize + conv_len(inputs, outputs) <= self.bytes.len());
        let weight = |o: usize, tap: usize, i: usize| self.i8(conv.weights, conv_index(inputs, o, tap, i));
        let factors: Vec<Requant> = (0..outputs)
            .map(|o| {
                let terms = (0..inputs * 9).map(|n| (weight(o, n % 9, n / 9) * i64::from(styles[n / 9])).pow(2) as u64);
                conv.gain.over_sqrt(terms.sum())
            })
            .collect();
        let mut modulated = Map::new(input.size, inputs);
        modulated.each(|c, y, x| shift_round(input.at(c, y, x) * i64::from(styles[c]), conv.modulation_shift.into()));
        let finish = |value: i32, o: usize, size: usize, y: i64, x: i64| {
            let offset = self.i32(conv.biases, o) + self.noise_at(conv, layer, size, y, x);
            let value = i64::from(value).clamp(-(1 << 28), (1 << 28) - 1);
            let v = i64::from(leaky_relu((value + offset) as i32));
            shift_round(v, 8).clamp(-i64::from(conv.limit), conv.limit.into())
        };
        let mut output;
        if let Some(fir) = conv.fir {
            let mut middle = Map::new(2 * input.size + 1, outputs);
            middle.each(|o, y, x| {
                let mut acc = 0;
                for tap in 0..9i64 {
                    let (from_y, from_x) = (y - tap / 3, x - tap % 3);
                    if from_y % 2 == 0 && from_x % 2 == 0 {
                        for i in 0..inputs {
                            acc += weight(o, tap as usize, i) * modulated.at(i, from_y / 2, from_x / 2);
                        }
                    }
                }
                i64::from(factors[o].apply(acc as i32)).clamp(-32767, 32767)
            });
            output = Map::new(2 * input.size, outputs);
            output.each(|o, y, x| {
                let taps = [1, 3, 3, 1];
                let sum = (0..16i64)
                    .map(|n| taps[n as usize / 4] * taps[n as usize % 4] * middle.at(o, y + n / 4 - 1, x + n % 4 - 1));
                finish(fir.apply(sum.sum::<i64>() as i32), o, 2 * input.size, y, x)
            });
        } else {
            output = Map::new(input.size, outputs);
            output.each(|o, y, x| {
                let mut acc = 0;
                for tap in 0..9i64 {
                    for i in 0..inputs {
                        acc += weight(o, tap as usize, i) * modulated.at(i, y + tap / 3 - 1, x + tap % 3 - 1);
                    }
                }
                finish(factors[o].apply(acc as i32), o, input.size, y, x)
            });
        }
        output
    }

    fn add_rgb(&self, torgb: &ToRgb, features: &Map, image: &mut Map) {
        let (styles, exponent) = self.styles(&torgb.affine);
        for at in 0..image.size * image.size {
            let pixel: Vec<i16> = (styles.iter().zip(&features.channels))
                .map(|(&s, channel)| shift_round(channel[at] * i64::from(s), 15) as i16)
                .collect();
            let own = self.dense(&torgb.rgb, &pixel, exponent);
            for (channel, own) in image.channels.iter_mut().zip(own) {
                channel[at] = (channel[at] + i64::from(own.clamp(-torgb.limit, torgb.limit))).clamp(-32767, 32767);
            }
        }
    }
}

fn x_len(layer: &Dense) -> usize {
    layer.inputs.into()
}

fn doubled(small: &Map) -> Map {
    let mut image = Map::new(2 * small.size, 3);
    image.each(|c, y, x| {
        let beside = |v: i64| if v % 2 == 0 { v / 2 - 1 } else { v / 2 + 1 };
        let row = |y: i64| 3 * small.at(c, y, x / 2) + small.at(c, y, beside(x));
        shift_round(3 * row(y / 2) + row(beside(y)), 4)
    });
    image
}

/// The image of a w, `[height][width][3]`.
pub fn image(pack: &Pack<'_>, w: &[i32], noise: Noise) -> Vec<u8> {
    let mut mantissas = vec![0; w.len()];
    let exponent = normalise(w, &mut mantissas) - 16;
    let oracle = Oracle { bytes: pack.bytes(), w: (mantissas, exponent), noise };
    let header = pack.header();
    let channels = usize::from(header.blocks[0].conv1.affine.outputs);
    let mut features = Map::new(4, channels);
    features.each(|c, y, x| oracle.i16(header.constant, (y as usize * channels + c) * 4 + x as usize));
    let mut image = Map::new(4, 3);
    let mut layer = 0;
    for block in &header.blocks {
        if let Some(conv) = &block.conv0 {
            features = oracle.conv(conv, layer, &features);
            image = doubled(&image);
            layer += 1;
        }
        features = oracle.conv(&block.conv1, layer, &features);
        layer += 1;
        oracle.add_rgb(&block.torgb, &features, &mut image);
    }
    let byte = |at: usize| {
        let v = image.channels[at % 3][at / 3];
        ((v + (128 << header.image_fraction)) >> header.image_fraction).clamp(0, 255) as u8
    };
    (0..3 * image.size * image.size).map(byte).collect()
}
