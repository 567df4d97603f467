//! Packs of random numbers, of any shape, without training.

use heapless::Vec as Table;
use nickeldime_core::generator::{GenerateError, Latent, Noise, Sample, generate};
use nickeldime_core::kernel::layout::{conv_index, conv_len};
use nickeldime_core::kernel::threefry;
use nickeldime_core::number::{Gain, Requant};
use nickeldime_core::pack::layout::{Block, Conv, Dense, HASH_LEN, Header, NoiseMap, ToRgb, W_FRACTION, WeightWidth};
use nickeldime_core::pack::{NoiseKind, Pack, PackBuilder, content_hash};

/// The number of rounds of a test: `count`, or a few under Miri, which takes some thousand times as long.
pub fn rounds(count: usize) -> usize {
    if cfg!(miri) { count.div_ceil(400) } else { count }
}

/// A stream of random words.
pub struct Random {
    /// Words that are given out before random ones.
    given: std::vec::IntoIter<u8>,
    key: [u32; 2],
    position: u32,
}

impl Random {
    pub fn new(seed: u32) -> Self {
        Self { given: Vec::new().into_iter(), key: [seed, 0x7E57], position: 0 }
    }

    /// A stream that begins with given words, one byte for each word that fits in a byte.
    pub fn given(bytes: &[u8]) -> Self {
        Self { given: Vec::from(bytes).into_iter(), ..Self::new(bytes.len() as u32) }
    }

    pub fn word(&mut self) -> u32 {
        if self.given.len() >= 4 {
            return u32::from_le_bytes(std::array::from_fn(|_| self.given.next().unwrap_or_default()));
        }
        self.position += 1;
        threefry(self.key, [self.position, 0])[0]
    }

    /// A random number in `0 .. n`.
    pub fn below(&mut self, n: u32) -> u32 {
        match self.given.next() {
            Some(byte) if n <= 256 => u32::from(byte) % n,
            _ => self.word() % n,
        }
    }

    /// A random number in `-limit ..= limit`.
    pub fn signed(&mut self, limit: i32) -> i32 {
        (i64::from(self.word()) % (2 * i64::from(limit) + 1) - i64::from(limit)) as i32
    }
}

/// Sizes of a test generator.
#[derive(Debug, Clone)]
pub struct Shape {
    pub z_dim: u16,
    pub w_dim: u16,
    pub mapping_layers: usize,
    pub channels: Vec<u16>,
    pub width: WeightWidth,
    /// Largest magnitude of an activation; a value below 32767 acts like `conv_clamp`.
    pub limit: i16,
    /// Channels of the image.
    pub colours: u8,
}

/// The smallest generator that a pack can hold.
pub fn tiny() -> Shape {
    let channels = vec![2, 3];
    Shape { z_dim: 3, w_dim: 2, mapping_layers: 1, channels, width: WeightWidth::I8, limit: 32767, colours: 3 }
}

/// A small generator of any shape.
pub fn any_shape(random: &mut Random) -> Shape {
    let blocks = 2 + random.below(3) as usize;
    Shape {
        z_dim: 1 + random.below(24) as u16,
        w_dim: 1 + random.below(24) as u16,
        mapping_layers: 1 + random.below(3) as usize,
        channels: (0..blocks).map(|_| 1 + random.below(9) as u16).collect(),
        width: [WeightWidth::I8, WeightWidth::I16][random.below(2) as usize],
        limit: [32767, 3000, 1][random.below(3) as usize],
        colours: 3,
    }
}

/// Bytes that begin at a multiple of 16.
#[derive(Clone)]
pub struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    pub fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut::<u128, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { words, len: bytes.len() }
    }

    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

/// Appends random arrays to a pack.
struct Arrays {
    builder: PackBuilder,
    random: Random,
}

impl Arrays {
    fn push(&mut self, array: Vec<u8>) -> u32 {
        self.builder.push(array)
    }

    fn weights(&mut self, count: usize, width: WeightWidth) -> u32 {
        let array = match width {
            WeightWidth::I8 => (0..count).map(|_| self.random.signed(127) as i8 as u8).collect(),
            WeightWidth::I16 => (0..count).flat_map(|_| (self.random.signed(32767) as i16).to_le_bytes()).collect(),
        };
        self.push(array)
    }

    fn conv_weights(&mut self, inputs: usize, outputs: usize) -> u32 {
        let mut array = vec![0; conv_len(inputs, outputs)];
        for (o, tap, i) in (0..outputs).flat_map(|o| (0..9).flat_map(move |t| (0..inputs).map(move |i| (o, t, i)))) {
            array[conv_index(inputs, o, tap, i)] = self.random.signed(127) as i8 as u8;
        }
        self.push(array)
    }

    fn words(&mut self, count: usize, limit: i32) -> u32 {
        let array = (0..count).flat_map(|_| self.random.signed(limit).to_le_bytes()).collect();
        self.push(array)
    }

    /// A layer whose output is about as large as its input, with a bias of up to 1.
    fn dense(&mut self, inputs: u16, outputs: u16, width: WeightWidth, fraction: i8) -> Dense {
        let scales = (0..outputs).flat_map(|_| (1u32 << 20).to_le_bytes()).collect();
        let bits = match width {
            WeightWidth::I8 => 6,
            WeightWidth::I16 => 14,
        };
        Dense {
            inputs,
            outputs,
            width,
            weights: self.weights(usize::from(inputs) * usize::from(outputs), width),
            scales: self.push(scales),
            biases: self.words(outputs.into(), 1 << fraction),
            shift: 20 + bits + (inputs.ilog2() / 2) as i8 - fraction,
            fraction,
        }
    }

    fn conv(&mut self, shape: &Shape, inputs: u16, outputs: u16, resolution: usize, up: bool) -> Conv {
        let taps = 9 * usize::from(inputs);
        // 127 * taps * 32766 below 2^31.
        let modulation_shift = 15 + (taps as u32 / 512).next_power_of_two().ilog2() as u8;
        let fraction = if up { 0 } else { 8 };
        Conv {
            affine: self.dense(shape.w_dim, inputs, shape.width, 20),
            outputs,
            weights: self.conv_weights(inputs.into(), outputs.into()),
            biases: self.words(outputs.into(), 1 << 20),
            modulation_shift,
            gain: Gain { mantissa: 5 << 28, exponent: modulation_shift as i8 + fraction - 30 },
            fir: up.then_some(Requant { multiplier: 1 << 30, shift: 26 }),
            limit: shape.limit,
            noise: Requant { multiplier: self.random.signed(1 << 30), shift: 24 },
            noise_map: Some(NoiseMap {
                width: shape.width,
                values: self.weights(resolution * resolution, shape.width),
                scale: Requant { multiplier: 1 << 30, shift: 20 },
            }),
        }
    }

    fn torgb(&mut self, shape: &Shape, channels: u16) -> ToRgb {
        let affine = self.dense(shape.w_dim, channels, shape.width, 20);
        let mut rgb = self.dense(channels, shape.colours.into(), shape.width, 4);
        // An activation of 2^13 counts as about 30 grey levels.
        rgb.shift -= 7;
        ToRgb { affine, rgb, limit: 1 << 20 }
    }
}

/// A header and its arrays; offsets count from the first array.
pub fn random_header(shape: &Shape, seed: u32) -> (Header<'static>, PackBuilder) {
    let mut arrays = Arrays { builder: PackBuilder::new(), random: Random::new(seed) };
    let mut mapping = Table::new();
    for index in 0..shape.mapping_layers {
        let inputs = if index == 0 { shape.z_dim } else { shape.w_dim };
        mapping.push(arrays.dense(inputs, shape.w_dim, shape.width, W_FRACTION)).unwrap();
    }
    let mut blocks = Table::new();
    let mut inputs = shape.channels[0];
    for (index, &channels) in shape.channels.iter().enumerate() {
        let resolution = 4 << index;
        let conv0 = (index > 0).then(|| arrays.conv(shape, inputs, channels, resolution, true));
        let conv1 = arrays.conv(shape, channels, channels, resolution, false);
        let torgb = arrays.torgb(shape, channels);
        blocks.push(Block { conv0, conv1, torgb }).unwrap();
        inputs = channels;
    }
    let channels = usize::from(shape.channels[0]);
    let pixels: Vec<i16> = (0..16 * channels).map(|_| arrays.random.signed(20000) as i16).collect();
    // Drawn pixel by pixel, stored row by row and channel by channel.
    let places = (0..4).flat_map(|y| (0..channels).flat_map(move |c| (0..4).map(move |x| (4 * y + x) * channels + c)));
    let constant = places.flat_map(|at| pixels[at].to_le_bytes()).collect();
    let header = Header {
        name: "random",
        channels: shape.colours,
        z_dim: shape.z_dim,
        w_dim: shape.w_dim,
        image_fraction: 4,
        noise: NoiseKind::Random,
        const_noise: true,
        w_average: arrays.words(shape.w_dim.into(), 1 << 15),
        constant: arrays.push(constant),
        mapping,
        blocks,
    };
    (header, arrays.builder)
}

/// The pack of a header and its arrays.
pub fn assemble(header: &Header<'_>, arrays: &PackBuilder) -> Aligned {
    Aligned::new(&arrays.finish(header).unwrap())
}

/// Corrects the hash after a change.
pub fn rehash(pack: &mut Aligned) {
    let hash = content_hash(pack.bytes());
    let contents = pack.bytes().get(20..24).and_then(|field| field.first_chunk());
    let contents = contents.map_or(0, |field| u32::from_le_bytes(*field) as usize);
    if let Some(place) = pack.bytes_mut().get_mut(contents..contents.saturating_add(HASH_LEN)) {
        place.copy_from_slice(&hash);
    }
}

/// A whole random pack.
pub fn random_pack(shape: &Shape, seed: u32) -> Aligned {
    let (header, arrays) = random_header(shape, seed);
    assemble(&header, &arrays)
}

/// Draws one image.
pub fn draw(pack: &Pack<'_>, sample: &Sample<'_>) -> Result<Vec<u8>, GenerateError> {
    let mut workspace = vec![0x5A5A_5A5A; pack.workspace_len()];
    let mut image = Vec::new();
    generate(pack, sample, &mut workspace, &mut |y, row| {
        assert_eq!(image.len(), y * pack.channels() * pack.resolution(), "rows come in order");
        image.extend_from_slice(row);
        core::ops::ControlFlow::Continue(())
    })?;
    assert_eq!(image.len(), pack.channels() * pack.resolution() * pack.resolution());
    Ok(image)
}

/// Draws every kind of sample; a pack that opened must give each.
pub fn exercise(pack: &Pack<'_>, random: &mut Random) {
    let extreme = |random: &mut Random| [i16::MIN, i16::MAX, 0, 1][random.below(4) as usize];
    let z: Vec<i16> = (0..pack.z_dim()).map(|_| extreme(random)).collect();
    let w: Vec<i32> = (0..pack.w_dim()).map(|_| [i32::MIN, i32::MAX, 0, 65536][random.below(4) as usize]).collect();
    let noise = if pack.has_const_noise() { Noise::Const } else { Noise::None };
    let layers: Vec<i32> =
        (0..pack.num_ws() * pack.w_dim()).map(|_| w[random.below(w.len() as u32) as usize]).collect();
    for (latent, psi, noise) in [
        (Latent::Layers(&layers), 0, Noise::None),
        (Latent::Seed(random.word().into()), 16384, Noise::Random(random.word().into())),
        (Latent::Z(&z), i16::MIN, noise),
        (Latent::W(&w), i16::MAX, Noise::None),
    ] {
        draw(pack, &Sample { latent, psi, noise }).unwrap();
    }
}

/// One random change of a dense layer's table.
fn change_dense(layer: &mut Dense, random: &mut Random) {
    match random.below(6) {
        0 => layer.shift = random.word() as i8,
        1 => layer.fraction = random.word() as i8,
        2 => layer.weights = random.word() & 0x1FF0,
        3 => layer.biases = random.word() & 0x1FF0,
        4 => layer.scales = random.word() & 0x1FF0,
        _ => layer.width = [WeightWidth::I8, WeightWidth::I16][random.below(2) as usize],
    }
}

/// One random change of a convolution's table.
fn change_conv(conv: &mut Conv, random: &mut Random) {
    let requant = |random: &mut Random| Requant { multiplier: random.word() as i32, shift: random.below(64) as u8 };
    match random.below(9) {
        0 => conv.gain = Gain { mantissa: (1 << 30) + random.below(1 << 30), exponent: random.word() as i8 },
        1 => conv.fir = conv.fir.map(|_| requant(random)),
        2 => conv.noise = requant(random),
        3 => conv.limit = random.word() as i16,
        4 => conv.modulation_shift = random.below(32) as u8,
        5 => conv.weights = random.word() & 0x1FF0,
        6 => conv.biases = random.word() & 0x1FF0,
        7 => {
            if let Some(map) = &mut conv.noise_map {
                map.scale = requant(random);
            }
        }
        _ => change_dense(&mut conv.affine, random),
    }
}

/// One random change of a header.
pub fn change(header: &mut Header<'_>, random: &mut Random) {
    let number = random.below(header.blocks.len() as u32) as usize;
    let layer = random.below(header.mapping.len() as u32) as usize;
    let block = &mut header.blocks[number];
    match random.below(7) {
        0 => change_dense(&mut header.mapping[layer], random),
        1 => change_conv(&mut block.conv1, random),
        2 => block.conv0.iter_mut().for_each(|conv| change_conv(conv, random)),
        3 => change_dense(&mut block.torgb.affine, random),
        4 => change_dense(&mut block.torgb.rgb, random),
        5 => block.torgb.limit = random.word() as i32 >> random.below(20),
        _ => header.image_fraction = random.below(10) as u8,
    }
}

/// Fills some of the arrays with an extreme.
pub fn fill(arrays: &mut [u8], random: &mut Random) {
    let extreme = [0x80, 0x7F, 0x00, 0xFF][random.below(4) as usize];
    let start = random.below(arrays.len() as u32) as usize;
    let end = (start + 1 + random.below(400) as usize).min(arrays.len());
    arrays[start..end].fill(extreme);
}

/// Two packs that every port draws: weights of 8 and of 16 bits.
pub fn reference() -> [Aligned; 2] {
    let shape = Shape { z_dim: 16, w_dim: 12, mapping_layers: 3, channels: vec![9, 7, 6, 5], ..tiny() };
    let pack = |width, seed| random_pack(&Shape { width, ..shape.clone() }, seed);
    [pack(WeightWidth::I8, 15), pack(WeightWidth::I16, 16)]
}

/// The samples that are drawn of each of them: three seeds at psi 0.7, each with another noise.
pub const REFERENCE_SAMPLES: [Sample<'static>; 3] = [
    Sample { latent: Latent::Seed(0), psi: 11469, noise: Noise::None },
    Sample { latent: Latent::Seed(1), psi: 11469, noise: Noise::Const },
    Sample { latent: Latent::Seed(2), psi: 11469, noise: Noise::Random(3) },
];

/// The SHA-256 of all these images, one after the other.
pub const REFERENCE_SHA256: &str = "5c984ef76c2863131d78b736cfa979378fd26936e6532d33826e885dfa54ecf5";
