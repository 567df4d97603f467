//! The order of the layers: block by block, feature map by feature map, the last block row by row.

use core::ops::ControlFlow;

use crate::dense::{BlockFloat, DenseView};
use crate::generator::{GenerateError, Noise};
use crate::kernel;
use crate::pack::layout::{Conv, ToRgb};
use crate::pack::{Pack, array, i8_array};
use crate::synthesis::conv::{ConvRows, Layer};
use crate::synthesis::noise::noise_row;
use crate::synthesis::style;
use crate::synthesis::torgb::{RgbLayer, to_byte};
use crate::synthesis::upsample::{self, UpsampleRows};
use crate::synthesis::workspace::{PingPong, Workspace};

/// What all layers share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    bytes: &'a [u8],
    w: BlockFloat<'a>,
    noise: Noise,
}

/// Makes the layer of one convolution: styles and demodulation at w.
fn prepare<'a>(
    shared: Shared<'a>,
    conv: &Conv,
    width: usize,
    values: &mut [i32],
    styles: &'a mut [i16],
    requants: &'a mut [[i32; 2]],
) -> Layer<'a> {
    let (inputs, outputs) = (usize::from(conv.affine.outputs), usize::from(conv.outputs));
    let weights = i8_array(shared.bytes, conv.weights, kernel::layout::conv_len(inputs, outputs));
    let (styles, requants) = (&mut styles[..inputs], &mut requants[..outputs]);
    // Demodulation cancels the styles' scale, so their exponent is not needed.
    style::styles(shared.bytes, &conv.affine, shared.w, values, styles);
    style::demodulate(conv, weights, styles, requants);
    Layer {
        width,
        inputs,
        outputs,
        weights,
        biases: array(shared.bytes, conv.biases, outputs),
        styles,
        requants,
        modulation_shift: conv.modulation_shift,
        limit: conv.limit,
    }
}

/// Makes the toRGB layer of one block at w.
fn prepare_rgb<'a>(shared: Shared<'a>, torgb: &ToRgb, values: &mut [i32], styles: &'a mut [i16]) -> RgbLayer<'a> {
    let styles = &mut styles[..torgb.affine.outputs.into()];
    let exponent = style::styles(shared.bytes, &torgb.affine, shared.w, values, styles);
    RgbLayer {
        rgb: DenseView::new(shared.bytes, &torgb.rgb),
        styles: BlockFloat { mantissas: styles, exponent },
        limit: torgb.limit,
    }
}

/// The synthesis network at w (mantissas in `workspace.w`): calls `row(y, rgb)` for every row of the image, from the top.
pub(crate) fn synthesise(
    pack: &Pack<'_>,
    w_exponent: i32,
    noise: Noise,
    workspace: Workspace<'_>,
    row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
) -> Result<(), GenerateError> {
    let Workspace {
        values,
        w,
        styles,
        rgb_styles,
        pixel,
        requants,
        rows,
        noise: noise_values,
        rgb,
        bytes,
        images,
        maps,
        ..
    } = workspace;
    let header = pack.header();
    let w = BlockFloat { mantissas: &w[..pack.w_dim()], exponent: w_exponent };
    let shared = Shared { bytes: pack.bytes(), w, noise };
    let (mut maps, mut images) = (PingPong::new(maps), PingPong::new(images));
    let mut resolution = 4;
    let mut index = 0;

    for (number, block) in header.blocks.iter().enumerate() {
        if let Some(conv) = &block.conv0 {
            let layer = prepare(shared, conv, resolution, values, styles, requants);
            let len = 4 * resolution * resolution * layer.outputs;
            let (input, output) = maps.both(len);
            upsample_map(shared, conv, layer, index, input, rows, noise_values, output);
            maps.turn(len);
            resolution *= 2;
            index += 1;
        } else {
            let len = 16 * usize::from(block.conv1.affine.outputs);
            let (_, output) = maps.both(len);
            output.copy_from_slice(array(shared.bytes, header.constant, len));
            maps.turn(len);
        }

        let layer = prepare(shared, &block.conv1, resolution, values, styles, requants);
        let torgb = prepare_rgb(shared, &block.torgb, values, rgb_styles);
        let last = number + 1 == header.blocks.len();
        let row_len = resolution * layer.outputs;
        let map_len = if last { row_len } else { resolution * row_len };
        let image_len = if last { 0 } else { 3 * resolution * resolution };
        let (input, output) = maps.both(map_len);
        let (small, image) = images.both(image_len);
        let pixel = &mut pixel[..kernel::padded(layer.outputs)];
        let rgb = &mut rgb[..3 * resolution];
        let noise_values = &mut noise_values[..resolution];

        let ring: &mut [i16] = bytemuck::cast_slice_mut(rows);
        let mut conv_rows = ConvRows::new(layer, &mut ring[..3 * layer.padded_row()]);
        let input_row = |y: usize| &input[y * resolution * layer.inputs..][..resolution * layer.inputs];
        conv_rows.take(0, input_row(0));
        for y in 0..resolution {
            if y + 1 < resolution {
                conv_rows.take(y + 1, input_row(y + 1));
            }
            noise_row(shared.bytes, &block.conv1, noise, index, y, noise_values);
            let output = if last { &mut *output } else { &mut output[y * row_len..][..row_len] };
            conv_rows.give(y, noise_values, output);

            doubled_row(small, number > 0, resolution, y, rgb);
            torgb.add_row(output, pixel, rgb);
            if last {
                let bytes = &mut bytes[..3 * resolution];
                for (byte, &v) in bytes.iter_mut().zip(rgb.iter()) {
                    *byte = to_byte(v, header.image_fraction);
                }
                if row(y, bytes).is_break() {
                    return Err(GenerateError::Stopped);
                }
            } else {
                for (to, &v) in image[3 * y * resolution..].iter_mut().zip(rgb.iter()) {
                    *to = v as i16;
                }
            }
        }
        maps.turn(map_len);
        images.turn(image_len);
        index += 1;
    }
    Ok(())
}

/// The doubling convolution over a whole feature map.
#[allow(clippy::too_many_arguments)]
fn upsample_map(
    shared: Shared<'_>,
    conv: &Conv,
    layer: Layer<'_>,
    index: u32,
    input: &[i16],
    rows: &mut [i32],
    noise: &mut [i32],
    output: &mut [i16],
) {
    let Layer { width, inputs, outputs, .. } = layer;
    let [padded, middle, filtered] = upsample::scratch(width, inputs, outputs);
    let (filtered, rows) = rows.split_at_mut(filtered);
    let (inner, rows) = rows.split_at_mut(padded.div_ceil(2));
    let inner: &mut [i16] = bytemuck::cast_slice_mut(inner);
    let outer: &mut [i16] = bytemuck::cast_slice_mut(rows);
    let fir = conv.fir.unwrap_or_default();
    let mut machine = UpsampleRows::new(layer, fir, &mut inner[..padded], &mut outer[..middle], filtered);
    let noise = &mut noise[..2 * width];
    let mut give = |machine: &mut UpsampleRows<'_, '_>, y: usize| {
        noise_row(shared.bytes, conv, shared.noise, index, y, noise);
        let len = 2 * width * outputs;
        machine.give(y, noise, &mut output[y * len..][..len]);
    };
    for t in 0..=2 * width {
        if t % 2 == 0 && t / 2 < width {
            let len = width * inputs;
            machine.take(t / 2, &input[t / 2 * len..][..len]);
        }
        machine.transpose(t);
        if t >= 2 {
            give(&mut machine, t - 2);
        }
    }
    give(&mut machine, 2 * width - 1);
}

/// Row y of the smaller image doubled to `resolution`; zeros where there is none.
fn doubled_row(small: &[i16], exists: bool, resolution: usize, y: usize, rgb: &mut [i32]) {
    if !exists {
        rgb.fill(0);
        return;
    }
    let len = 3 * resolution / 2;
    let source = |y: Option<usize>| y.and_then(|y| small.get(y * len..(y + 1) * len));
    let far = if y.is_multiple_of(2) { (y / 2).checked_sub(1) } else { Some(y / 2 + 1) };
    kernel::upsample_rgb_row(source(Some(y / 2)).unwrap_or_default(), source(far), rgb);
}
