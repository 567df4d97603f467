//! One block: takes feature rows of the block below and makes its own, one at a time.

use crate::kernel::Work;
use crate::pack::Pack;
use crate::pack::arrays::array;
use crate::pack::layout::Block;
use crate::pack::plan::IMAGE_ROWS;
use crate::sample::Noise;
use crate::synthesis::conv::ConvRows;
use crate::synthesis::noise::NoiseInput;
use crate::synthesis::style::BlockLayers;
use crate::synthesis::torgb::RgbLayer;
use crate::synthesis::upsample::{Doubled, UpsampleRows};
use crate::synthesis::workspace::{BlockRows, Scratch};

/// Where a block's features come from.
enum Source<'a, 'w> {
    /// The learned constant, `[row][channel][column]`, and how many of its rows were used.
    Constant(&'a [i16], usize),
    /// The features of the block below, with doubled resolution.
    Doubled(UpsampleRows<'a, 'w>),
}

/// The state of a block between two of its rows.
pub(crate) struct BlockRun<'a, 'w> {
    source: Source<'a, 'w>,
    conv1: ConvRows<'a, 'w>,
    torgb: RgbLayer<'a>,
    width: usize,
    channels: usize,
    /// Channels of the image.
    colours: usize,
    /// Index of conv1 among the 3x3 convolutions.
    layer: u32,
    image: &'w mut [i16],
}

impl<'a, 'w> BlockRun<'a, 'w> {
    /// Block `number` of the pack, before its first row.
    pub fn new(
        pack: &'a Pack<'_>,
        block: &'a Block,
        number: usize,
        layers: &BlockLayers<'a>,
        rows: BlockRows<'w>,
    ) -> Self {
        let conv1 = layers.conv1;
        let source = match (&block.conv0, layers.conv0) {
            (Some(conv), Some(layer)) => Source::Doubled(UpsampleRows::new(layer, conv, rows.inputs, rows.middle)),
            _ => Source::Constant(array(pack.bytes(), pack.header().constant, 16 * conv1.inputs), 0),
        };
        Self {
            source,
            conv1: ConvRows::new(conv1, &block.conv1, rows.conv),
            torgb: layers.torgb,
            width: conv1.width,
            channels: conv1.outputs,
            colours: pack.channels(),
            layer: 2 * number as u32,
            image: rows.image,
        }
    }

    /// Width of the block's rows.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of values in a feature row.
    pub fn features(&self) -> usize {
        self.width * self.channels
    }

    /// Leaves the next feature row, `[channel][width]`, in the scratch's `row` and returns its number. `None` if a row
    /// of the block below is needed first.
    pub fn step(&mut self, bytes: &[u8], noise: Noise, scratch: &mut Scratch<'_>) -> Option<usize> {
        let input = |layer| NoiseInput { bytes, noise, layer };
        loop {
            let y = match &mut self.source {
                Source::Constant(values, taken) => {
                    let y = *taken;
                    *taken += 1;
                    let len = values.len() / 4;
                    if let Some(row) = values.get(y * len..(y + 1) * len) {
                        scratch.row[..len].copy_from_slice(row);
                    }
                    y
                }
                Source::Doubled(rows) => match rows.step(input(self.layer.wrapping_sub(1)), scratch) {
                    Doubled::NeedsInput => return None,
                    Doubled::Nothing => continue,
                    Doubled::Row(y) => y,
                },
            };
            if let Some(y) = self.conv1.step(y, input(self.layer), scratch) {
                return Some(y);
            }
        }
    }

    /// Takes a feature row of the block below.
    pub fn take(&mut self, row: &[i16]) {
        if let Source::Doubled(rows) = &mut self.source {
            rows.take(row);
        }
    }

    /// Adds the toRGB output of the feature row in the scratch to the scratch's image row.
    pub fn add_rgb(&self, scratch: &mut Scratch<'_>) {
        let work = &mut Work { taps: scratch.taps, acc: scratch.acc };
        let features = &scratch.row[..self.features()];
        self.torgb.add_row(features, self.width, scratch.fresh, work, &mut scratch.rgb[..self.colours * self.width]);
    }

    /// Keeps image row y for the next block.
    pub fn keep_image(&mut self, y: usize, rgb: &[i16]) {
        let len = self.colours * self.width;
        self.image[y % IMAGE_ROWS * len..][..len].copy_from_slice(rgb);
    }

    /// Image row y, which must be one of the last three kept; `None` outside the image.
    pub fn image_row(&self, y: Option<usize>) -> Option<&[i16]> {
        let len = self.colours * self.width;
        y.filter(|&y| y < self.width).and_then(|y| self.image.get(y % IMAGE_ROWS * len..)?.get(..len))
    }
}
