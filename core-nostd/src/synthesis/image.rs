//! The order of the rows: depth first. A feature row is made only when the rows above it in the network can use it, and every
//! row is made once.
//!
//! The highest block that can make a row makes it. The row is added to the image and passed to the next block, which is
//! asked next; a block that needs more input hands the turn to the block below. So the image's rows come out one after
//! the other while the blocks below hold only a few rows each, and the first row comes early.

use core::ops::ControlFlow;

use heapless::Vec;

use crate::kernel;
use crate::pack::Pack;
use crate::pack::layout::MAX_BLOCKS;
use crate::sample::{GenerateError, Noise};
use crate::synthesis::block::BlockRun;
use crate::synthesis::style::BlockLayers;
use crate::synthesis::workspace::{BlockRows, Carver, Scratch};

/// The synthesis network with its layers at w: calls `row(y, pixels)` for every row of the image, from the top.
pub(crate) fn synthesise(
    pack: &Pack<'_>,
    layers: &[BlockLayers<'_>],
    noise: Noise,
    shared: &mut [i32],
    row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
) -> Result<(), GenerateError> {
    let header = pack.header();
    let last = header.blocks.len().saturating_sub(1);
    let colours = pack.channels();
    let mut carver = Carver::new(shared);
    let mut scratch = Scratch::new(pack.plan(), &mut carver)?;
    let mut blocks = Vec::<_, MAX_BLOCKS>::new();
    for (number, (block, layers)) in header.blocks.iter().zip(layers).enumerate() {
        let rows = BlockRows::new(block, layers.conv1.width, colours, number == last, &mut carver)?;
        // `blocks` has room for as many blocks as a header.
        let _ = blocks.push(BlockRun::new(pack, block, number, layers, rows));
    }
    debug_assert_eq!(4 * carver.left(), pack.ram().mapping, "the plan is exact");
    let mut level = 0;
    while let Some((block, below)) = blocks.get_mut(..=level).and_then(<[_]>::split_last_mut) {
        let Some(y) = block.step(pack.bytes(), noise, &mut scratch) else {
            // The lowest block needs no input.
            level = level.saturating_sub(1);
            continue;
        };
        let width = block.width();
        doubled_row(below.last(), y, &mut scratch.rgb[..colours * width]);
        block.add_rgb(&mut scratch);
        if level < last {
            block.keep_image(y, &scratch.rgb[..colours * width]);
            let features = block.features();
            level += 1;
            if let Some(above) = blocks.get_mut(level) {
                above.take(&scratch.row[..features]);
            }
            continue;
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(scratch.acc);
        let bytes = &mut bytes[..colours * width];
        let image = &scratch.rgb[..colours * width];
        match colours {
            1 => kernel::grey_to_bytes(image, header.image_fraction, bytes),
            _ => kernel::to_bytes(image, header.image_fraction, bytes),
        }
        if row(y, bytes).is_break() {
            return Err(GenerateError::Stopped);
        }
        if y + 1 == width {
            break;
        }
    }
    Ok(())
}

/// Row y of the image of the block below, doubled, `[colour][width]`; zeros without a block below.
#[inline(never)]
fn doubled_row(below: Option<&BlockRun<'_, '_>>, y: usize, rgb: &mut [i16]) {
    let Some(below) = below else {
        rgb.fill(0);
        return;
    };
    let far = if y.is_multiple_of(2) { (y / 2).checked_sub(1) } else { Some(y / 2 + 1) };
    let (near, far) = (below.image_row(Some(y / 2)).unwrap_or_default(), below.image_row(far));
    let width = below.width();
    for (colour, out) in rgb.chunks_exact_mut(2 * width).enumerate() {
        let of = |row: &'_ [i16]| colour * width..((colour + 1) * width).min(row.len());
        let near = near.get(of(near)).unwrap_or_default();
        kernel::upsample_rgb_row(near, far.and_then(|far| far.get(of(far))), out);
    }
}
