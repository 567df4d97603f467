//! How the caller's one buffer is divided, and how large it must be: by the architecture alone.
//!
//! ```text
//!   | factors | styles | shared: first the mapping's vectors, then rows, image rows and scratch |
//! ```
//!
//! Styles and factors of all layers are made before the first row. From then on w is not needed, and the rows take the
//! mapping's place.

use crate::generator::GenerateError;
use crate::kernel::{middle_len, modulated_len, padded};
use crate::pack::PackError;
use crate::pack::layout::{Block, Header};

/// Bytes of RAM for one image, by part. Their sum is all that the generator uses but for its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ram {
    /// Feature rows that wait for their neighbours, of all layers.
    pub rows: usize,
    /// Rows of the smaller images, before rounding to bytes.
    pub image: usize,
    /// Rows in the making: one set that all layers share.
    pub scratch: usize,
    /// Styles of all layers.
    pub styles: usize,
    /// Demodulation factors of all layers.
    pub factors: usize,
    /// What the mapping network needs beyond the rows, the image and the scratch, whose place it has before them: 0 for all
    /// but the smallest generators.
    pub mapping: usize,
}

impl Ram {
    /// The RAM that images of a generator take, from the sizes in its header.
    ///
    /// # Errors
    /// [`PackError::TooLarge`].
    pub fn of(header: &Header<'_>) -> Result<Self, PackError> {
        Ok(Plan::new(header)?.ram())
    }

    /// Bytes of the whole workspace.
    pub fn total(&self) -> usize {
        self.rows + self.image + self.scratch + self.styles + self.factors + self.mapping
    }
}

/// Rows of the transposed convolution that are kept: the filter's fourth is the one in the making.
pub(crate) const MIDDLE_ROWS: usize = 3;
/// Modulated rows that a transposed convolution reads.
pub(crate) const INPUT_ROWS: usize = 2;
/// Modulated rows that a 3x3 convolution keeps: its third is the one in the making.
pub(crate) const CONV_ROWS: usize = 2;
/// Image rows that the next block's doubling may still want while the newest is written.
pub(crate) const IMAGE_ROWS: usize = 3;

/// Elements (`i32`) that hold `n` values of 16 bits.
fn halves(n: usize) -> usize {
    n.div_ceil(2)
}

/// Lengths of what one block keeps, in values.
#[derive(Debug, Clone, Copy)]
struct BlockLens {
    /// Modulated input rows of conv0, i16.
    inputs: usize,
    /// Intermediate rows of conv0, i16.
    middle: usize,
    /// Modulated rows of conv1, i16.
    conv: usize,
    /// Image rows, i16; none in the last block.
    image: usize,
}

impl BlockLens {
    /// Of a block of width `width`.
    fn new(block: &Block, width: usize, last: bool) -> Self {
        let [_, half] = doubling(block, width);
        let channels = usize::from(block.conv1.affine.outputs);
        Self {
            inputs: INPUT_ROWS * half,
            middle: MIDDLE_ROWS * middle_row(block, width),
            conv: CONV_ROWS * modulated_len(channels, width),
            image: if last { 0 } else { IMAGE_ROWS * 3 * width },
        }
    }
}

/// Output channels of conv0 and values of one of its modulated input rows; zeros where there is none.
fn doubling(block: &Block, width: usize) -> [usize; 2] {
    block
        .conv0
        .as_ref()
        .map_or([0, 0], |conv| [conv.outputs.into(), modulated_len(conv.affine.outputs.into(), width / 2)])
}

/// Values of one intermediate row.
fn middle_row(block: &Block, width: usize) -> usize {
    middle_len(width / 2) * doubling(block, width)[0]
}

/// Lengths of the scratch that all blocks share, in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ScratchLens {
    /// A feature row on its way from one layer to the next, i16.
    row: usize,
    /// The newest modulated or intermediate row, i16.
    fresh: usize,
    /// One channel's accumulators; or an image row's bytes; i32.
    acc: usize,
    /// A row of noise, i32.
    noise: usize,
    /// An image row, i16.
    rgb: usize,
    /// One output channel's weights, i16.
    taps: usize,
}

impl ScratchLens {
    fn total(&self) -> usize {
        halves(self.row) + halves(self.fresh) + self.acc + self.noise + halves(self.rgb) + halves(self.taps)
    }
}

/// Lengths of everything in the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    scratch: ScratchLens,
    /// Widest layer of the mapping, widest style.
    features: usize,
    w_dim: usize,
    ram: Ram,
    /// Elements (`i32`) of all.
    pub total: usize,
}

impl Plan {
    /// The plan of a verified header.
    pub fn new(header: &Header<'_>) -> Result<Self, PackError> {
        let mut features = usize::from(header.z_dim.max(header.w_dim));
        for layer in &header.mapping {
            features = features.max(layer.outputs.into());
        }
        let mut scratch = ScratchLens::default();
        let (mut rows, mut image, mut styles, mut factors) = (0, 0, 0, 0);
        let last = header.blocks.len().saturating_sub(1);
        for (index, block) in header.blocks.iter().enumerate() {
            let width = 4usize << index;
            let lens = BlockLens::new(block, width, index == last);
            rows += halves(lens.inputs) + halves(lens.middle) + halves(lens.conv);
            image += halves(lens.image);
            for conv in block.conv0.iter().chain([&block.conv1]) {
                let (inputs, outputs) = (usize::from(conv.affine.outputs), usize::from(conv.outputs));
                features = features.max(inputs);
                styles += halves(inputs);
                factors += 2 * outputs;
                scratch.row = scratch.row.max(width * outputs);
                scratch.taps = scratch.taps.max(9 * padded(inputs));
            }
            styles += halves(block.torgb.affine.outputs.into());
            let [inputs, outputs] =
                [&block.conv1.affine, &block.torgb.affine].map(|affine| usize::from(affine.outputs));
            scratch.row = scratch.row.max(width * inputs);
            let modulated = modulated_len(inputs.max(outputs), width);
            scratch.fresh = scratch.fresh.max(modulated).max(middle_row(block, width));
            scratch.taps = scratch.taps.max(padded(outputs));
            (scratch.acc, scratch.noise, scratch.rgb) = (middle_len(width / 2), width, 3 * width);
            features = features.max(outputs);
        }
        let w_dim = usize::from(header.w_dim);
        let shared = rows + image + scratch.total();
        let mapping = (features + halves(features) + halves(w_dim) + w_dim).saturating_sub(shared);
        let total = factors + styles + shared + mapping;
        // Even at 1024 pixels and 2048 channels below 2^30 elements; a small machine's addresses may end before.
        let bytes = total.checked_mul(4).filter(|&bytes| isize::try_from(bytes).is_ok());
        bytes.ok_or(PackError::TooLarge)?;
        let ram = Ram {
            rows: 4 * rows,
            image: 4 * image,
            scratch: 4 * scratch.total(),
            styles: 4 * styles,
            factors: 4 * factors,
            mapping: 4 * mapping,
        };
        Ok(Self { scratch, features, w_dim, ram, total })
    }

    /// Bytes by part.
    pub fn ram(&self) -> Ram {
        self.ram
    }
}

/// Takes one part after the other from the front of a buffer.
pub(crate) struct Carver<'w>(&'w mut [i32]);

impl<'w> Carver<'w> {
    pub fn new(buffer: &'w mut [i32]) -> Self {
        Self(buffer)
    }

    /// Elements that are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// `len` values of 32 bits.
    pub fn words(&mut self, len: usize) -> Result<&'w mut [i32], GenerateError> {
        let (part, left) =
            core::mem::take(&mut self.0).split_at_mut_checked(len).ok_or(GenerateError::WorkspaceTooSmall)?;
        self.0 = left;
        Ok(part)
    }

    /// `len` values of 16 bits.
    pub fn halves(&mut self, len: usize) -> Result<&'w mut [i16], GenerateError> {
        let part: &mut [i16] = bytemuck::cast_slice_mut(self.words(halves(len))?);
        part.get_mut(..len).ok_or(GenerateError::WorkspaceTooSmall)
    }

    /// `len` pairs of words.
    pub fn pairs(&mut self, len: usize) -> Result<&'w mut [[i32; 2]], GenerateError> {
        Ok(bytemuck::cast_slice_mut(self.words(2 * len)?))
    }
}

/// The two halves of the workspace.
pub(crate) struct Workspace<'w> {
    /// Factors and styles, layer by layer.
    pub kept: Carver<'w>,
    /// The mapping's vectors, then rows.
    pub shared: &'w mut [i32],
}

impl<'w> Workspace<'w> {
    /// Divides `buffer`; what is left over is not used.
    pub fn new(plan: &Plan, buffer: &'w mut [i32]) -> Result<Self, GenerateError> {
        let buffer = buffer.get_mut(..plan.total).ok_or(GenerateError::WorkspaceTooSmall)?;
        let (kept, shared) = buffer.split_at_mut((plan.ram.factors + plan.ram.styles) / 4);
        Ok(Self { kept: Carver::new(kept), shared })
    }
}

/// What the way from a latent to the styles works in.
pub(crate) struct Vectors<'w> {
    /// Fixed-point results of a dense layer; as long as the widest.
    pub values: &'w mut [i32],
    /// Mantissas of a dense layer's input; as long as the widest.
    pub mantissas: &'w mut [i16],
    /// Mantissas of w.
    pub w: &'w mut [i16],
    /// The first of two ws, Q16.
    pub first: &'w mut [i32],
}

impl<'w> Vectors<'w> {
    /// Divides the shared part.
    pub fn new(plan: &Plan, shared: &'w mut [i32]) -> Result<Self, GenerateError> {
        let mut carver = Carver::new(shared);
        Ok(Self {
            values: carver.words(plan.features)?,
            mantissas: carver.halves(plan.features)?,
            w: carver.halves(plan.w_dim)?,
            first: carver.words(plan.w_dim)?,
        })
    }
}

/// What all blocks work in, one after the other; nothing in it outlives the step of a block.
pub(crate) struct Scratch<'w> {
    /// A feature row on its way from one layer to the next.
    pub row: &'w mut [i16],
    /// The newest modulated or intermediate row.
    pub fresh: &'w mut [i16],
    /// One channel's accumulators; or an image row's bytes.
    pub acc: &'w mut [i32],
    /// A row of noise.
    pub noise: &'w mut [i32],
    /// An image row, `[3][width]`.
    pub rgb: &'w mut [i16],
    /// One output channel's weights.
    pub taps: &'w mut [i16],
}

impl<'w> Scratch<'w> {
    /// Takes the scratch.
    pub fn new(plan: &Plan, carver: &mut Carver<'w>) -> Result<Self, GenerateError> {
        let lens = &plan.scratch;
        Ok(Self {
            row: carver.halves(lens.row)?,
            fresh: carver.halves(lens.fresh)?,
            acc: carver.words(lens.acc)?,
            noise: carver.words(lens.noise)?,
            rgb: carver.halves(lens.rgb)?,
            taps: carver.halves(lens.taps)?,
        })
    }
}

/// What one block keeps between its rows.
pub(crate) struct BlockRows<'w> {
    /// Modulated input rows of conv0.
    pub inputs: &'w mut [i16],
    /// Intermediate rows of conv0.
    pub middle: &'w mut [i16],
    /// Modulated rows of conv1.
    pub conv: &'w mut [i16],
    /// Image rows.
    pub image: &'w mut [i16],
}

impl<'w> BlockRows<'w> {
    /// Takes a block's rows.
    pub fn new(block: &Block, width: usize, last: bool, carver: &mut Carver<'w>) -> Result<Self, GenerateError> {
        let lens = BlockLens::new(block, width, last);
        Ok(Self {
            inputs: carver.halves(lens.inputs)?,
            middle: carver.halves(lens.middle)?,
            conv: carver.halves(lens.conv)?,
            image: carver.halves(lens.image)?,
        })
    }
}
