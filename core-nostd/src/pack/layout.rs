//! The fields of a pack's header: sizes, scales, and the offsets of the arrays. `docs/format.md` describes the bytes.
//!
//! Every offset counts bytes from the pack's first byte and is a multiple of [`ALIGNMENT`].

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::number::{Gain, Requant};

/// First bytes of every pack.
pub const MAGIC: [u8; 8] = *b"NICKDIME";

/// Version of the pack format that this code reads and writes.
pub const FORMAT_VERSION: u16 = 4;

/// Bytes of the fixed prefix before the header.
pub const PREFIX_LEN: usize = 64;

/// Bytes of the SHA-256 that follows the contents.
pub const HASH_LEN: usize = 32;

/// Bytes of one signature after the hash: an Ed25519 public key, and its signature of the hash.
pub const SIGNATURE_LEN: usize = 96;

/// Most signatures of a pack.
pub const MAX_SIGNATURES: usize = 4;

/// Every table and weight array begins at a multiple of this, and so does the pack's end.
pub const ALIGNMENT: usize = 16;

/// Largest number of blocks: b4 .. b1024.
pub const MAX_BLOCKS: usize = 9;

/// Largest number of fully connected layers in the mapping network.
pub const MAX_MAPPING_LAYERS: usize = 16;

/// Largest width of z, of w and of a feature map.
pub const MAX_FEATURES: usize = 2048;

/// Bytes of the longest name.
pub const MAX_NAME: usize = 64;

/// Row scales of a [`Dense`] layer are below this: a 41-bit dot product times a row scale fits in 62 bits.
pub const MAX_ROW_SCALE: u32 = 1 << 21;

/// Fractional bits of w, of `w_avg` and of a w given from outside.
pub const W_FRACTION: i8 = 16;

/// Width of stored weights. The number 2 is reserved for 4 bits a weight: readers of this version refuse it with
/// [`PackError::FourBitWeights`](super::PackError::FourBitWeights).
///
/// The pack encodes a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightWidth {
    /// One byte a weight.
    I8,
    /// Two bytes a weight, little-endian.
    I16,
}

impl WeightWidth {
    /// Bytes of one weight.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
        }
    }

    /// Bits of one weight.
    pub const fn bits(self) -> u8 {
        match self {
            Self::I8 => 8,
            Self::I16 => 16,
        }
    }
}

/// The noise that images of a pack should have by default.
///
/// The pack and the link encode a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NoiseKind {
    /// No noise.
    #[default]
    None,
    /// The constant maps stored in the pack.
    Const,
    /// Noise from the counter-based generator.
    Random,
}

/// A matrix-vector layer: `y = (sum_i w[o][i] x[i]) * scale[o] * 2^-(shift - e) + bias[o]`.
///
/// x is block floating point: `x[i] = mantissa[i] * 2^e`. y is fixed point with `fraction` fractional bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dense {
    /// Number of inputs, the columns of the matrix.
    pub inputs: u16,
    /// Number of outputs, the rows of the matrix.
    pub outputs: u16,
    /// Width of the stored weights.
    pub width: WeightWidth,
    /// Offset of the weights, `[outputs][inputs]`.
    pub weights: u32,
    /// Offset of the row scales, `u32 [outputs]`, each below [`MAX_ROW_SCALE`].
    pub scales: u32,
    /// Offset of the biases, `i32 [outputs]`, in units of y.
    pub biases: u32,
    /// Right shift of the scaled sum for an x of exponent 0.
    pub shift: i8,
    /// Fractional bits of y.
    pub fraction: i8,
}

/// The constant noise map of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoiseMap {
    /// Width of the map's entries.
    pub width: WeightWidth,
    /// Offset of the entries, `[height][width]` of the layer's output.
    pub values: u32,
    /// Factor from an entry to the layer's output before activation, with its fractional bits; strength and sign
    /// included.
    pub scale: Requant,
}

/// A modulated and demodulated 3x3 convolution with noise, bias and leaky ReLU; with `fir` it doubles the resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// The layer that turns w into the styles, one for each input channel. Demodulation cancels its scale.
    pub affine: Dense,
    /// Number of output channels. The number of input channels is the affine layer's `outputs`.
    pub outputs: u16,
    /// Offset of the weights, i8, in the layout of [`kernel::layout`](crate::kernel::layout). Demodulation cancels their
    /// scale, for each output channel.
    pub weights: u32,
    /// Offset of the biases, `i32 [outputs]`, in the output's units with [`FRACTION_BITS`](crate::number::FRACTION_BITS).
    pub biases: u32,
    /// Right shift of modulation, in 15 ..= 30: a modulated activation is `round(x * s / 2^modulation_shift)`. A larger
    /// shift keeps the accumulator from overflowing.
    pub modulation_shift: u8,
    /// Factor on `accumulator / sqrt(energy)`. The product is the output before activation with its fractional bits, or,
    /// if there is a `fir`, in the intermediate image's units.
    pub gain: Gain,
    /// Factor from the filtered intermediate image (64 times its true size) to the output before activation, with its
    /// fractional bits. `None` for a convolution that does not double the resolution.
    pub fir: Option<Requant>,
    /// Outputs are limited to this magnitude: 32767, or the network's `conv_clamp` in the output's units.
    pub limit: i16,
    /// Factor from Q12 noise to the output before activation, with its fractional bits; strength and sign included.
    pub noise: Requant,
    /// The stored noise; `None` if the pack has none for this layer or its strength is 0.
    pub noise_map: Option<NoiseMap>,
}

/// A modulated 1x1 convolution to the image's channels, without demodulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToRgb {
    /// The layer that turns w into the styles, one for each input channel, with their true scale.
    pub affine: Dense,
    /// The convolution at one pixel. Its inputs are `round(x * s / 2^15)` with the styles' exponent. It has an output
    /// for each channel of the image, in grey levels with the header's `image_fraction`.
    pub rgb: Dense,
    /// Outputs are limited to this magnitude before they are added to the image (`conv_clamp`).
    pub limit: i32,
}

/// The layers of one resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The upsampling convolution; `None` in b4.
    pub conv0: Option<Conv>,
    /// The convolution at the block's resolution.
    pub conv1: Conv,
    /// The layer that adds to the image at this resolution.
    pub torgb: ToRgb,
}

/// The header of a pack, encoded with postcard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Header<'a> {
    /// A name for people to read.
    pub name: &'a str,
    /// Channels of the image: 3 for RGB, 1 for grey.
    pub channels: u8,
    /// Number of values in z.
    pub z_dim: u16,
    /// Number of values in w.
    pub w_dim: u16,
    /// Fractional bits of image values. Their unit is a grey level, which is 1/127.5 of the network's output.
    pub image_fraction: u8,
    /// The noise that images of the pack should have by default.
    pub noise: NoiseKind,
    /// True if the pack has the constant noise maps.
    pub const_noise: bool,
    /// Offset of the average w, `i32 [w_dim]`, Q16.
    pub w_average: u32,
    /// Offset of the learned constant, `i16 [4][channels of b4][4]`: row, channel, column.
    pub constant: u32,
    /// The mapping network; the last layer's `fraction` is [`W_FRACTION`].
    pub mapping: Vec<Dense, MAX_MAPPING_LAYERS>,
    /// The blocks b4, b8, ... up to the image's resolution.
    pub blocks: Vec<Block, MAX_BLOCKS>,
}
