//! Writes packs in the format of `docs/format.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use ndarray::{Array1, Array2};

use nickeldime_checkpoint::model::arch::block_resolution;
use nickeldime_checkpoint::model::weights::GeneratorWeights;
use nickeldime_core::kernel::layout::{conv_index, conv_len};
use nickeldime_core::number::{FRACTION_BITS, MAX_OFFSET};
use nickeldime_core::pack::layout::{
    Block, Conv, Dense, Header, MAX_BLOCKS, MAX_FEATURES, MAX_MAPPING_LAYERS, MAX_NAME, MAX_ROW_SCALE, NoiseMap, ToRgb,
    W_FRACTION,
};
use nickeldime_core::pack::verify::{MAX_IMAGE_FRACTION, MAX_RGB_LIMIT, MODULATION_SHIFTS, accumulator_fits};
use nickeldime_core::pack::{NoiseKind, Pack, PackBuilder, PackError, WeightWidth};
use thiserror::Error;

use super::calibrate::{Calibration, HEADROOM};
use super::dense::{Fitted, Inputs, Layer};
use super::integers::{Row, gain, quantise_row, requant};
use super::rounding::Feedback;

/// Learning-rate multiplier of the mapping network. Stored weights are multiplied by it.
const MAPPING_LR: f64 = 0.01;

/// Additional headroom for fixed-point results, which have 32 bits in any case.
const WIDE_HEADROOM: f64 = 8.0;

/// Options of the packer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// A name for people to read; at most 64 bytes.
    pub name: String,
    /// Width of the mapping network's weights. The network is small and its rounding costs most of the fidelity, so 16
    /// bits is the default.
    pub mapping: WeightWidth,
    /// Width of the weights of the affine layers (styles).
    pub affine: WeightWidth,
    /// Width of the weights of the toRGB layers.
    pub rgb: WeightWidth,
    /// Layers of these three kinds that have 16-bit weights regardless, by name: `mapping.fc0`, `b8.conv0.affine`,
    /// `b8.torgb`.
    pub sixteen_bit: BTreeSet<String>,
    /// The default noise of the pack's images.
    pub noise: NoiseKind,
    /// Width of the stored constant noise maps, for layers whose noise strength is not 0. `None` stores none.
    pub const_noise: Option<WeightWidth>,
}

impl Default for PackOptions {
    /// A 16-bit mapping network, 8 bits elsewhere, and no noise.
    fn default() -> Self {
        Self {
            name: String::new(),
            mapping: WeightWidth::I16,
            affine: WeightWidth::I8,
            rgb: WeightWidth::I8,
            sixteen_bit: BTreeSet::new(),
            noise: NoiseKind::None,
            const_noise: None,
        }
    }
}

/// Bytes of a pack by part; they add up to its length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PackParts {
    /// Weights of the mapping network.
    pub mapping: usize,
    /// Weights of the affine layers.
    pub affine: usize,
    /// Weights of the 3x3 convolutions.
    pub conv: usize,
    /// Weights of the toRGB layers.
    pub torgb: usize,
    /// Noise maps.
    pub noise: usize,
    /// Header, scales, biases, the constant, the average w, and padding.
    pub tables: usize,
}

/// The result of quantising one layer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LayerReport {
    /// The layer's name: `mapping.fc0`, `b8.conv0`, `b8.conv0.affine`, `b8.torgb`, ...
    pub name: String,
    /// Bits of a weight.
    pub bits: u8,
    /// Bytes of all weights.
    pub bytes: usize,
    /// Ratio of the output to the error that rounding the weights causes, in dB, over the calibration latents; `None` if
    /// the layer's inputs were not observed.
    pub sqnr_db: Option<f64>,
    /// True if [`PackOptions::sixteen_bit`] may name the layer.
    #[serde(skip)]
    pub can_be_16_bit: bool,
}

/// A pack, its parts and its layers.
#[derive(Debug, Clone, PartialEq)]
pub struct PackFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its size by part.
    pub parts: PackParts,
    /// A report on each layer.
    pub layers: Vec<LayerReport>,
}

/// Fitted layers, kept for packs that differ in only a few layers.
#[derive(Debug, Default)]
pub(super) struct FitCache {
    /// The inputs of each mapping layer, followed by w.
    inputs: Vec<(Rc<Inputs>, f64)>,
    dense: BTreeMap<(String, u8), Rc<Fitted>>,
    /// The rows of the convolutions.
    rows: BTreeMap<String, (Rc<Vec<Row>>, Option<f64>)>,
}

/// Why weights cannot become a pack.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackWriteError {
    /// A tensor that the architecture has is not among the weights, or has another number of elements.
    #[error("tensor {0} is missing or has the wrong size")]
    Tensor(String),
    /// A tensor or a range holds numbers that are not finite.
    #[error("{0} holds a number that is not finite")]
    NotFinite(String),
    /// The calibration lacks an activation.
    #[error("activation {0} was never observed: calibrate on some latents first")]
    NotCalibrated(String),
    /// A layer's values have too large a range for the pack's scales.
    #[error("the scale of {0} does not fit in the pack's format")]
    Scale(String),
    /// An architecture or name exceeds a limit of the format.
    #[error("{0} is beyond the pack format's limit of {1}")]
    Limit(&'static str, usize),
    /// The finished pack does not verify.
    #[error("the finished pack does not verify: {0}")]
    Verify(PackError),
}

/// Quantises a generator and writes its pack. The calibration must cover `bR.conv0.mid`, `bR.convK.out` and `bR.img` of
/// every block. If it also has a convolution's inputs, that convolution is rounded for the smallest error of its output.
///
/// # Errors
/// Every [`PackWriteError`]. A pack that is returned has passed [`Pack::open`], including the overflow proof.
pub fn write_pack(
    weights: &GeneratorWeights,
    calibration: &Calibration,
    options: &PackOptions,
) -> Result<PackFile, PackWriteError> {
    write_with(weights, calibration, options, &mut FitCache::default())
}

/// Like [`write_pack`], reusing the layers in `fits`.
pub(super) fn write_with(
    weights: &GeneratorWeights,
    calibration: &Calibration,
    options: &PackOptions,
    fits: &mut FitCache,
) -> Result<PackFile, PackWriteError> {
    let mut writer = Writer {
        weights,
        calibration,
        options,
        fits,
        pack: PackBuilder::new(),
        parts: PackParts::default(),
        layers: Vec::new(),
    };
    let header = writer.header()?;

    let bytes = writer.pack.finish(&header).map_err(PackWriteError::Verify)?;
    Pack::open(&bytes).map_err(PackWriteError::Verify)?;
    let mut parts = writer.parts;
    parts.tables = bytes.len() - parts.mapping - parts.affine - parts.conv - parts.torgb - parts.noise;
    Ok(PackFile { bytes, parts, layers: writer.layers })
}

/// Multiplies a real number by `factor` and converts it to `i32`, saturated.
fn fixed(value: f64, factor: f64) -> i32 {
    (value * factor).round().clamp(-f64::from(i32::MAX), f64::from(i32::MAX)) as i32
}

struct Writer<'a, 'f> {
    weights: &'a GeneratorWeights,
    calibration: &'a Calibration,
    options: &'a PackOptions,
    fits: &'f mut FitCache,
    pack: PackBuilder,
    parts: PackParts,
    layers: Vec<LayerReport>,
}

impl<'a> Writer<'a, '_> {
    /// Appends an array and returns its offset and its length.
    fn push(&mut self, array: impl IntoIterator<Item = u8>) -> (u32, usize) {
        let mut len = 0;
        let offset = self.pack.push(array.into_iter().inspect(|_| len += 1));
        (offset, len)
    }

    fn push_i32(&mut self, values: impl IntoIterator<Item = i32>) -> u32 {
        self.pack.push(values.into_iter().flat_map(i32::to_le_bytes))
    }

    fn push_weights(&mut self, values: impl IntoIterator<Item = i16>, width: WeightWidth) -> (u32, usize) {
        match width {
            WeightWidth::I8 => self.push(values.into_iter().map(|v| v as i8 as u8)),
            WeightWidth::I16 => self.push(values.into_iter().flat_map(i16::to_le_bytes)),
        }
    }

    fn header(&mut self) -> Result<Header<'a>, PackWriteError> {
        let arch = &self.weights.arch;
        let name = self.options.name.as_str();
        let features = [arch.z_dim, arch.w_dim].into_iter().chain(arch.channels.iter().copied());
        for (what, limit, ok) in [
            ("the name's length", MAX_NAME, name.len() <= MAX_NAME),
            ("a width", MAX_FEATURES, features.max().is_some_and(|n| n <= MAX_FEATURES)),
            ("the number of blocks", MAX_BLOCKS, arch.channels.len() <= MAX_BLOCKS),
            ("the number of mapping layers", MAX_MAPPING_LAYERS, arch.mapping_layers <= MAX_MAPPING_LAYERS),
        ] {
            if !ok {
                return Err(PackWriteError::Limit(what, limit));
            }
        }

        let mapping = self.mapping_layers()?;
        let mut tables = Vec::new();
        for (index, layer) in mapping.iter().enumerate() {
            let last = index + 1 == mapping.len();
            let what = format!("mapping.fc{index}");
            let fitted = self.fitted(&what, layer, index, self.options.mapping);
            let largest = self.inputs_behind(index, layer, &fitted);
            let fraction = if last { W_FRACTION } else { wide_fraction(largest) };
            let (table, bytes) = self.dense(&fitted, self.width(&what, self.options.mapping), fraction, &what)?;
            self.parts.mapping += bytes;
            tables.push(table);
        }
        let average = self.tensor("mapping.w_avg", arch.w_dim)?;
        let w_average = self.push_i32(average.iter().map(|&v| fixed(v, 65536.0)));

        let channels = arch.channels[0];
        let constant = self.tensor("synthesis.b4.const", 16 * channels)?;
        let mut scale = activation_scale(constant.iter().fold(0f64, |m, v| m.max(v.abs())), 1.0);
        let rows = (0..4).flat_map(|y| (0..channels).flat_map(move |c| (0..4).map(move |x| (c * 4 + y) * 4 + x)));
        let values = rows.map(|i| fixed(constant[i], 1.0 / scale) as i16);
        let constant = self.push_weights(values, WeightWidth::I16).0;

        let image_fraction = self.image_fraction()?;
        let mut blocks = Vec::new();
        for index in 0..arch.channels.len() {
            let (block, out) = self.block(index, scale, image_fraction)?;
            scale = out;
            blocks.push(block);
        }
        Ok(Header {
            name,
            channels: arch.img_channels as u8,
            z_dim: arch.z_dim as u16,
            w_dim: arch.w_dim as u16,
            image_fraction,
            noise: self.options.noise,
            const_noise: self.options.const_noise.is_some(),
            w_average,
            constant,
            // The lengths have been checked against the format's limits.
            mapping: tables.into_iter().collect(),
            blocks: blocks.into_iter().collect(),
        })
    }

    /// A tensor's values, after checking their number and that they are finite.
    fn tensor(&self, name: &str, len: usize) -> Result<Vec<f64>, PackWriteError> {
        let tensor = self.weights.tensors.get(name).filter(|t| t.len() == len);
        let tensor = tensor.ok_or_else(|| PackWriteError::Tensor(name.to_owned()))?;
        let values: Vec<f64> = tensor.iter().map(|&v| f64::from(v)).collect();
        if values.iter().all(|v| v.is_finite()) { Ok(values) } else { Err(PackWriteError::NotFinite(name.to_owned())) }
    }

    /// The largest magnitude of an activation, from the calibration.
    fn range(&self, name: &str) -> Result<f64, PackWriteError> {
        let largest = self.calibration.largest(name).ok_or_else(|| PackWriteError::NotCalibrated(name.to_owned()))?;
        if largest.is_finite() { Ok(largest.into()) } else { Err(PackWriteError::NotFinite(name.to_owned())) }
    }

    /// A fully connected layer of the checkpoint, with its gains applied.
    fn layer(&self, name: &str, inputs: usize, outputs: usize, gains: [f64; 2]) -> Result<Layer, PackWriteError> {
        let [weight_gain, bias_gain] = gains;
        let weights = self.tensor(&format!("{name}.weight"), inputs * outputs)?;
        let biases = Array1::from(self.tensor(&format!("{name}.bias"), outputs)?) * bias_gain;
        Ok(Layer { weights: matrix(weights, inputs) * (weight_gain / (inputs as f64).sqrt()), biases })
    }

    /// The mapping network, each layer with the activation's gain of sqrt(2) in its weights.
    fn mapping_layers(&self) -> Result<Vec<Layer>, PackWriteError> {
        let arch = &self.weights.arch;
        let gain = MAPPING_LR * std::f64::consts::SQRT_2;
        let layer = |index: usize| {
            let inputs = if index == 0 { arch.z_dim } else { arch.w_dim };
            self.layer(&format!("mapping.fc{index}"), inputs, arch.w_dim, [gain, gain])
        };
        (0..arch.mapping_layers).map(layer).collect()
    }

    /// The weight width of a layer: 16 bits if the options name it, else `otherwise`.
    fn width(&self, name: &str, otherwise: WeightWidth) -> WeightWidth {
        if self.options.sixteen_bit.contains(name) { WeightWidth::I16 } else { otherwise }
    }

    /// A quantised layer for the inputs of mapping layer `index`; the index after the last one means w.
    fn fitted(&mut self, name: &str, layer: &Layer, index: usize, width: WeightWidth) -> Rc<Fitted> {
        let width = self.width(name, width);
        let key = (name.to_owned(), width.bits());
        if let Some(fitted) = self.fits.dense.get(&key) {
            return fitted.clone();
        }
        let fitted = Rc::new(self.inputs(index).fit(layer, width));
        self.fits.dense.insert(key, fitted.clone());
        fitted
    }

    /// The inputs of mapping layer `index`.
    fn inputs(&mut self, index: usize) -> Rc<Inputs> {
        if self.fits.inputs.is_empty() {
            let arch = &self.weights.arch;
            let latents = Inputs::latents(arch.z_dim, arch.z_dim.max(arch.w_dim));
            self.fits.inputs.push((Rc::new(latents), 0.0));
        }
        self.fits.inputs[index].0.clone()
    }

    /// Computes the inputs of the next mapping layer. Returns the largest value before the activation.
    fn inputs_behind(&mut self, index: usize, layer: &Layer, fitted: &Fitted) -> f64 {
        if self.fits.inputs.len() == index + 1 {
            let (behind, largest) = self.inputs(index).behind(layer, fitted);
            self.fits.inputs.push((Rc::new(behind), largest));
        }
        self.fits.inputs[index + 1].1
    }

    /// Writes a matrix-vector layer. Returns its header entry and the bytes of its weights.
    fn dense(
        &mut self,
        fitted: &Fitted,
        width: WeightWidth,
        fraction: i8,
        what: &str,
    ) -> Result<(Dense, usize), PackWriteError> {
        let Fitted { rows, biases, error } = fitted;
        let largest = rows.iter().fold(0f64, |m, row| m.max(row.scale));
        // Row scales fill their 21 bits.
        let exponent = if largest > 0.0 { largest.log2().floor() as i32 - 20 } else { 0 };
        let scale = |row: &Row| fixed(row.scale, 2f64.powi(-exponent)).min(MAX_ROW_SCALE as i32 - 1);
        let shift = i8::try_from(-(exponent + i32::from(fraction)));
        let shift = shift.map_err(|_| PackWriteError::Scale(what.to_owned()))?;
        let (weights, bytes) = self.push_weights(rows.iter().flat_map(|r| r.integers.iter().copied()), width);
        let scales = self.push_i32(rows.iter().map(scale));
        let biases_at = self.push_i32(biases.iter().map(|&b| fixed(b, 2f64.powi(fraction.into()))));
        let table = Dense {
            inputs: rows.first().map_or(0, |row| row.integers.len()) as u16,
            outputs: biases.len() as u16,
            width,
            weights,
            scales,
            biases: biases_at,
            shift,
            fraction,
        };
        self.report(what, width, bytes, Some(*error), true);
        Ok((table, bytes))
    }

    fn report(&mut self, name: &str, width: WeightWidth, bytes: usize, error: Option<f64>, can_be_16_bit: bool) {
        let sqnr_db = error.filter(|&error| error > 0.0).map(|error| -10.0 * error.log10());
        let name = name.to_owned();
        self.layers.push(LayerReport { name, bits: width.bits(), bytes, sqnr_db, can_be_16_bit });
    }

    /// Writes the affine layer of a convolution; `factor` multiplies the styles.
    fn affine(&mut self, name: &str, channels: usize, factor: f64) -> Result<Dense, PackWriteError> {
        let arch = &self.weights.arch;
        let (behind_mapping, what) = (arch.mapping_layers, format!("{name}.affine"));
        let layer = self.layer(&format!("synthesis.{what}"), arch.w_dim, channels, [factor, factor])?;
        let fitted = self.fitted(&what, &layer, behind_mapping, self.options.affine);
        let styles = layer.apply(&self.inputs(behind_mapping).float);
        let largest = styles.iter().fold(0f64, |m, s| m.max(s.abs()));
        let width = self.width(&what, self.options.affine);
        let (table, bytes) = self.dense(&fitted, width, wide_fraction(largest), &what)?;
        self.parts.affine += bytes;
        Ok(table)
    }

    /// Writes a block. Returns it and the scale of its feature map.
    fn block(&mut self, index: usize, input_scale: f64, image_fraction: u8) -> Result<(Block, f64), PackWriteError> {
        let channels = self.weights.arch.channels[index];
        let name = format!("b{}", block_resolution(index));
        let (mut conv0, mut scale) = (None, input_scale);
        if index > 0 {
            let inputs = self.weights.arch.channels[index - 1];
            let (conv, out) = self.conv(&format!("{name}.conv0"), index, inputs, true, scale)?;
            (conv0, scale) = (Some(conv), out);
        }
        let (conv1, scale) = self.conv(&format!("{name}.conv1"), index, channels, false, scale)?;
        let torgb = self.torgb(&format!("{name}.torgb"), channels, scale, image_fraction)?;
        Ok((Block { conv0, conv1, torgb }, scale))
    }

    /// Writes a convolution. Returns it and the scale of its output.
    fn conv(
        &mut self,
        name: &str,
        index: usize,
        inputs: usize,
        up: bool,
        input_scale: f64,
    ) -> Result<(Conv, f64), PackWriteError> {
        let arch = &self.weights.arch;
        let outputs = arch.channels[index];
        let full = format!("synthesis.{name}");
        let scale_error = || PackWriteError::Scale(name.to_owned());
        let fraction = f64::from(1 << FRACTION_BITS);

        let biases = self.tensor(&format!("{full}.bias"), outputs)?;
        let strength = self.tensor(&format!("{full}.noise_strength"), 1)?[0];
        let clamp = arch.conv_clamp.map_or(f64::INFINITY, f64::from);
        let mut scale = activation_scale(self.range(&format!("{name}.out"))?, HEADROOM).min(clamp / 32767.0);
        // A bias must fit beside a value in 32 bits, even if it is far above all activations.
        let largest_bias = biases.iter().fold(0f64, |m, b| m.max(b.abs()));
        scale = scale.max(largest_bias * 2.0 * fraction / f64::from(MAX_OFFSET));
        // The activation's gain of sqrt(2) is applied before the activation, in all scales to the output.
        let to_output = std::f64::consts::SQRT_2 * fraction / scale;

        let affine = self.affine(name, inputs, 1.0)?;
        let (rows, error) = self.conv_rows(name, inputs, outputs)?;
        let modulation_shift = MODULATION_SHIFTS
            .into_iter()
            .find(|&shift| rows.iter().all(|row| accumulator_fits(row.integers.iter().map(|&q| q as i8), shift)))
            .ok_or_else(scale_error)?;
        let mut laid = vec![0; conv_len(inputs, outputs)];
        for (o, row) in rows.iter().enumerate() {
            for (at, &w) in row.integers.iter().enumerate() {
                laid[conv_index(inputs, o, at / inputs, at % inputs)] = w as u8;
            }
        }
        let (weights, bytes) = self.push(laid);
        self.parts.conv += bytes;
        self.report(name, WeightWidth::I8, bytes, error, false);
        let biases = self.push_i32(biases.iter().map(|&b| fixed(b, to_output)));

        let modulated = input_scale * 2f64.powi(modulation_shift.into());
        let (factor, fir) = if up {
            let middle = activation_scale(self.range(&format!("{name}.mid"))?, HEADROOM);
            (modulated / middle, Some(requant(middle * to_output / 16.0).ok_or_else(scale_error)?))
        } else {
            (modulated * to_output, None)
        };
        let table = Conv {
            affine,
            outputs: outputs as u16,
            weights,
            biases,
            modulation_shift,
            gain: gain(factor).ok_or_else(scale_error)?,
            fir,
            limit: (clamp / scale).round().clamp(1.0, 32767.0) as i16,
            noise: requant(strength * to_output / 4096.0).ok_or_else(scale_error)?,
            noise_map: self.noise_map(&full, index, strength * to_output)?,
        };
        Ok((table, scale))
    }

    /// Quantises a convolution's weights by output channel, `[3][3][inputs]`. Returns them and their error. Demodulation
    /// cancels the scales.
    fn conv_rows(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(Rc<Vec<Row>>, Option<f64>), PackWriteError> {
        if let Some(rows) = self.fits.rows.get(name) {
            return Ok(rows.clone());
        }
        let weights = self.tensor(&format!("synthesis.{name}.weight"), 9 * inputs * outputs)?;
        // Reorders [in][ky][kx] to [ky][kx][in].
        let order = |(o, at): (usize, usize)| weights[(o * inputs + at % inputs) * 9 + at / inputs];
        let weights = Array2::from_shape_fn((outputs, 9 * inputs), order);
        let (rows, error) = self.rounded(name, &weights);
        let rows = (Rc::new(rows), error);
        self.fits.rows.insert(name.to_owned(), rows.clone());
        Ok(rows)
    }

    /// Rounds rows to 8 bits and returns their error under the calibration's moments. Without moments, it rounds to
    /// nearest.
    fn rounded(&self, name: &str, weights: &Array2<f64>) -> (Vec<Row>, Option<f64>) {
        match self.calibration.moments(name).and_then(|moments| Feedback::new(&moments)) {
            Some(feedback) => {
                let (rows, error) = feedback.round(weights, WeightWidth::I8);
                (rows, Some(error))
            }
            None => {
                let nearest = |row: ndarray::ArrayView1<'_, f64>| quantise_row(&row.to_vec(), WeightWidth::I8);
                (weights.rows().into_iter().map(nearest).collect(), None)
            }
        }
    }

    /// Writes the stored noise of a layer; `to_output` is the factor from a map's value to the output.
    fn noise_map(&mut self, name: &str, index: usize, to_output: f64) -> Result<Option<NoiseMap>, PackWriteError> {
        let Some(width) = self.options.const_noise.filter(|_| to_output != 0.0) else {
            return Ok(None);
        };
        let name = format!("{name}.noise_const");
        let map = self.tensor(&name, block_resolution(index).pow(2))?;
        // Maps are rounded to nearest without clipping, because their values matter and not their direction.
        let largest = map.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let step = largest / if width == WeightWidth::I8 { 127.0 } else { 32767.0 };
        let (values, bytes) = self.push_weights(map.iter().map(|v| (v / step).round() as i16), width);
        self.parts.noise += bytes;
        let scale = requant(to_output * step).ok_or(PackWriteError::Scale(name))?;
        Ok(Some(NoiseMap { width, values, scale }))
    }

    fn torgb(
        &mut self,
        name: &str,
        channels: usize,
        input_scale: f64,
        image_fraction: u8,
    ) -> Result<ToRgb, PackWriteError> {
        let full = format!("synthesis.{name}");
        let affine = self.affine(name, channels, 1.0 / (channels as f64).sqrt())?;
        // A modulated activation is x * s / 2^15, and the result is in grey levels.
        let own = self.weights.arch.img_channels;
        let weights = self.tensor(&format!("{full}.weight"), own * channels)?;
        let weights = matrix(weights, channels) * (input_scale * 32768.0 * 127.5);
        let biases = self.tensor(&format!("{full}.bias"), own)?.into_iter().map(|b| b * 127.5).collect();
        let width = self.width(name, self.options.rgb);
        let (rows, error) = match width {
            WeightWidth::I8 => self.rounded(name, &weights),
            WeightWidth::I16 => {
                (weights.rows().into_iter().map(|row| quantise_row(&row.to_vec(), width)).collect(), None)
            }
        };
        let fitted = Fitted { rows, biases, error: error.unwrap_or_default() };
        let (rgb, bytes) = self.dense(&fitted, width, image_fraction as i8, name)?;
        self.parts.torgb += bytes;
        let clamp = self.weights.arch.conv_clamp.map_or(f64::INFINITY, f64::from);
        let limit = clamp * 127.5 * f64::from(1 << image_fraction);
        Ok(ToRgb { affine, rgb, limit: limit.round().clamp(1.0, f64::from(MAX_RGB_LIMIT)) as i32 })
    }

    /// Largest number of fractional bits with which all images of the skip path fit.
    fn image_fraction(&self) -> Result<u8, PackWriteError> {
        let mut largest = 1f64;
        for index in 0..self.weights.arch.channels.len() {
            largest = largest.max(self.range(&format!("b{}.img", block_resolution(index)))?);
        }
        let room = 32767.0 / (largest * 127.5 * HEADROOM);
        Ok(room.log2().floor().clamp(0.0, MAX_IMAGE_FRACTION.into()) as u8)
    }
}

/// Arranges weights as `[outputs, inputs]`; their number was checked before.
fn matrix(weights: Vec<f64>, inputs: usize) -> Array2<f64> {
    Array2::from_shape_vec((weights.len() / inputs, inputs), weights).expect("the number of weights was checked")
}

/// Real value of one unit of a 16-bit activation. A layer that is always 0 gets a tiny one.
fn activation_scale(largest: f64, headroom: f64) -> f64 {
    (largest * headroom).max(1e-6) / 32767.0
}

/// Fractional bits of a 32-bit result, within the format's range and with room above the largest value seen.
fn wide_fraction(largest: f64) -> i8 {
    const RANGE: Range<f64> = -20.0..40.0;
    let bits = (2f64.powi(31) / (largest.max(f64::MIN_POSITIVE) * WIDE_HEADROOM)).log2().floor();
    bits.clamp(RANGE.start, RANGE.end) as i8
}
