//! How much RAM an image needs, computed from the sizes in a header.

use super::error::PackError;
use super::layout::{Block, Header};
use crate::kernel::layout::{middle_len, padded};
use crate::kernel::modulated_len;
use crate::kernel::selected::ACCUMULATORS;

/// Bytes of RAM for one image, by part. Their sum is all the memory that the generator uses besides its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ram {
    /// Feature rows that wait for their neighbours, in all layers.
    pub rows: usize,
    /// Rows of the images of the lower resolutions, before rounding to bytes.
    pub image: usize,
    /// Rows being computed: one set that all layers share.
    pub scratch: usize,
    /// Styles of all layers.
    pub styles: usize,
    /// Demodulation factors of all layers.
    pub factors: usize,
    /// What the mapping network needs in addition to the parts above. It runs first and uses the memory of rows, image
    /// and scratch, so this is 0 for all but the smallest generators.
    pub mapping: usize,
}

impl Ram {
    /// The RAM for one image, from the sizes in the generator's header.
    ///
    /// # Errors
    /// [`PackError::TooLarge`].
    pub fn of(header: &Header<'_>) -> Result<Self, PackError> {
        Ok(WorkspacePlan::new(header)?.ram)
    }

    /// Bytes of the whole workspace.
    pub fn total(&self) -> usize {
        self.rows + self.image + self.scratch + self.styles + self.factors + self.mapping
    }
}

/// Rows of the transposed convolution that are kept. The filter's fourth row is the one being computed.
pub(crate) const MIDDLE_ROWS: usize = 3;
/// Modulated rows that a transposed convolution reads.
pub(crate) const INPUT_ROWS: usize = 2;
/// Modulated rows that a 3x3 convolution keeps. Its third row is the one being computed.
pub(crate) const CONV_ROWS: usize = 2;
/// Image rows that are kept because the next block's doubling may still read them while the newest is written.
pub(crate) const IMAGE_ROWS: usize = 3;

/// Number of `i32` elements that hold `n` values of 16 bits.
pub(crate) fn halves(n: usize) -> usize {
    n.div_ceil(2)
}

/// Lengths of the rows that one block keeps, in values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockLens {
    /// Modulated input rows of conv0, i16.
    pub inputs: usize,
    /// Intermediate rows of conv0, i16.
    pub middle: usize,
    /// Modulated rows of conv1, i16.
    pub conv: usize,
    /// Image rows, i16; 0 in the last block.
    pub image: usize,
}

impl BlockLens {
    /// The lengths for a block whose rows have `width` pixels and whose image has `colours` channels. The last block
    /// keeps no image rows.
    pub fn new(block: &Block, width: usize, colours: usize, last: bool) -> Self {
        let [_, half] = doubling(block, width);
        let channels = usize::from(block.conv1.affine.outputs);
        Self {
            inputs: INPUT_ROWS * half,
            middle: MIDDLE_ROWS * middle_row(block, width),
            conv: CONV_ROWS * modulated_len(channels, width),
            image: if last { 0 } else { IMAGE_ROWS * colours * width },
        }
    }
}

/// Output channels of conv0, and the number of values in one of its modulated input rows; both are 0 without a conv0.
fn doubling(block: &Block, width: usize) -> [usize; 2] {
    block
        .conv0
        .as_ref()
        .map_or([0, 0], |conv| [conv.outputs.into(), modulated_len(conv.affine.outputs.into(), width / 2)])
}

/// Number of values in one intermediate row.
fn middle_row(block: &Block, width: usize) -> usize {
    middle_len(width / 2) * doubling(block, width)[0]
}

/// Lengths of the scratch that all blocks share, in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ScratchLens {
    /// A feature row on its way from one layer to the next, i16.
    pub row: usize,
    /// The newest modulated or intermediate row, i16.
    pub fresh: usize,
    /// Accumulators of one channel, or the bytes of an image row; i32.
    pub acc: usize,
    /// A row of noise, i32.
    pub noise: usize,
    /// An image row, i16.
    pub rgb: usize,
    /// The weights of one output channel, i16.
    pub taps: usize,
}

impl ScratchLens {
    fn total(&self) -> usize {
        halves(self.row) + halves(self.fresh) + self.acc + self.noise + halves(self.rgb) + halves(self.taps)
    }
}

/// Lengths of every part of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WorkspacePlan {
    /// Lengths of the shared scratch.
    pub scratch: ScratchLens,
    /// Width of the widest mapping layer or style, whichever is wider.
    pub features: usize,
    /// Number of values in w.
    pub w_dim: usize,
    /// Bytes by part.
    pub ram: Ram,
    /// Total number of `i32` elements.
    pub total: usize,
}

impl WorkspacePlan {
    /// The plan of a verified header.
    pub fn new(header: &Header<'_>) -> Result<Self, PackError> {
        let mut features = usize::from(header.z_dim.max(header.w_dim));
        for layer in &header.mapping {
            features = features.max(layer.outputs.into());
        }
        let mut scratch = ScratchLens::default();
        let (mut rows, mut image, mut styles, mut factors) = (0, 0, 0, 0);
        let last = header.blocks.len().saturating_sub(1);
        let colours = usize::from(header.channels);
        for (index, block) in header.blocks.iter().enumerate() {
            let width = 4usize << index;
            let lens = BlockLens::new(block, width, colours, index == last);
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
            (scratch.acc, scratch.noise, scratch.rgb) = (ACCUMULATORS * middle_len(width / 2), width, colours * width);
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
}
