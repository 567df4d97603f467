//! Computes the styles of all layers from w, and the demodulation factors from the styles, before the first row.

use heapless::Vec;

use crate::dense::{BlockFloat, DenseView};
use crate::kernel::{self, layout};
use crate::number::normalise;
use crate::pack::Pack;
use crate::pack::arrays::{array, i8_array};
use crate::pack::layout::{Conv, Dense, MAX_BLOCKS, ToRgb};
use crate::sample::GenerateError;
use crate::synthesis::conv::Layer;
use crate::synthesis::torgb::RgbLayer;
use crate::synthesis::workspace::Carver;

/// The layers of one block, prepared for one sample's w.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockLayers<'a> {
    /// The convolution that doubles the resolution; `None` in b4.
    pub conv0: Option<Layer<'a>>,
    /// The convolution at the block's resolution.
    pub conv1: Layer<'a>,
    /// The layer that adds to the image at this resolution.
    pub torgb: RgbLayer<'a>,
}

/// Gives each layer its w, in order. Layer `index` counts as in [`Pack::num_ws`]; toRGB has the index of the layer that
/// follows it.
pub(crate) trait Ws {
    /// The w of layer `index`, and a buffer for the values of the widest layer. Indices never decrease from call to
    /// call.
    fn at(&mut self, index: usize) -> (BlockFloat<'_>, &mut [i32]);
}

/// Computes the styles and factors of all layers.
pub(crate) fn layers<'a>(
    pack: &'a Pack<'_>,
    ws: &mut impl Ws,
    kept: &mut Carver<'a>,
) -> Result<Vec<BlockLayers<'a>, MAX_BLOCKS>, GenerateError> {
    let mut all = Vec::new();
    let mut index = 0;
    for (number, block) in pack.header().blocks.iter().enumerate() {
        let width = 4usize << number;
        let conv0 = match &block.conv0 {
            Some(conv) => {
                index += 1;
                Some(conv_layer(pack, conv, width / 2, ws, index - 1, kept)?)
            }
            None => None,
        };
        let conv1 = conv_layer(pack, &block.conv1, width, ws, index, kept)?;
        index += 1;
        let torgb = rgb_layer(pack, &block.torgb, ws, index, kept)?;
        // `all` has room for as many blocks as a header.
        let _ = all.push(BlockLayers { conv0, conv1, torgb });
    }
    Ok(all)
}

fn conv_layer<'a>(
    pack: &'a Pack<'_>,
    conv: &Conv,
    width: usize,
    ws: &mut impl Ws,
    index: usize,
    kept: &mut Carver<'a>,
) -> Result<Layer<'a>, GenerateError> {
    let (inputs, outputs) = (usize::from(conv.affine.outputs), usize::from(conv.outputs));
    let weights = i8_array(pack.bytes(), conv.weights, layout::conv_len(inputs, outputs));
    let (requants, mantissas) = (kept.pairs(outputs)?, kept.halves(inputs)?);
    // Demodulation cancels the styles' scale, so their exponent is not needed.
    styles(pack, &conv.affine, ws, index, mantissas);
    demodulate(conv, weights, mantissas, requants);
    Ok(Layer {
        width,
        inputs,
        outputs,
        weights,
        biases: array(pack.bytes(), conv.biases, outputs),
        styles: mantissas,
        requants,
        modulation_shift: conv.modulation_shift,
        limit: conv.limit,
    })
}

fn rgb_layer<'a>(
    pack: &'a Pack<'_>,
    torgb: &ToRgb,
    ws: &mut impl Ws,
    index: usize,
    kept: &mut Carver<'a>,
) -> Result<RgbLayer<'a>, GenerateError> {
    let mantissas = kept.halves(torgb.affine.outputs.into())?;
    let exponent = styles(pack, &torgb.affine, ws, index, mantissas);
    Ok(RgbLayer {
        rgb: DenseView::new(pack.bytes(), &torgb.rgb),
        styles: BlockFloat { mantissas, exponent },
        limit: torgb.limit,
    })
}

/// Computes an affine layer at w. Writes the styles' mantissas and returns their exponent. The largest mantissa uses all
/// 15 bits.
fn styles(pack: &Pack<'_>, affine: &Dense, ws: &mut impl Ws, index: usize, out: &mut [i16]) -> i32 {
    let (w, values) = ws.at(index);
    let values = &mut values[..out.len()];
    DenseView::new(pack.bytes(), affine).apply(w, values);
    normalise(values, out) - i32::from(affine.fraction)
}

/// Demodulation: for every output channel the multiplier and shift from accumulator to output, `gain / sqrt(energy)`.
fn demodulate(conv: &Conv, weights: &[i8], styles: &[i16], out: &mut [[i32; 2]]) {
    for (o, out) in out.iter_mut().enumerate() {
        let requant = conv.gain.over_sqrt(kernel::energy(weights, styles, o));
        *out = [requant.multiplier, requant.shift.into()];
    }
}
