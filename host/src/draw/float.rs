//! Draws with a float generator on the host.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use ndarray::{Array2, s};
use nickeldime_checkpoint::model::{
    arch::{GeneratorArch, block_resolution},
    weights::GeneratorWeights,
};
use nickeldime_core::generator::Join;

use super::{
    drawn::Drawn,
    error::DrawError,
    latents::{Latents, NoiseMode},
    pairs::Pair,
    request::DrawRequest,
};
use crate::{
    backend::{BackendKind, Inner, with_backend},
    nets::{
        draws::{latents, noise_maps},
        generator::{Generator, Noise},
        names::{self, LoadError},
        tap::Tap,
    },
    numpy_random,
    progress::Progress,
    quantise::calibrate::{Calibration, Kind, Maps},
};

/// Number of images that are drawn at once.
const BATCH: usize = 8;

impl DrawRequest<'_> {
    /// Draws with a float generator.
    ///
    /// # Errors
    /// Latents that do not have the generator's shape; `progress` asked to stop.
    pub fn in_float(&self, preview: &Preview, progress: &mut dyn Progress) -> Result<Drawn, DrawError> {
        let noise = self.noise.unwrap_or(NoiseMode::Const);
        progress.begin("drawing", "img", self.latents.len() as u64);
        let raw = preview.images(self.latents, self.psi, noise, &mut |done| {
            progress.at(done as u64, "");
            !progress.stopped()
        })?;
        progress.end();
        Ok(Drawn::from_floats(preview.resolution(), raw))
    }
}

/// A float generator on some backend.
pub struct Preview {
    generator: Box<dyn Draw>,
    arch: GeneratorArch,
}

impl Preview {
    /// Loads the weights onto the CPU.
    ///
    /// # Errors
    /// Weights that do not fit their architecture.
    pub fn new(weights: &GeneratorWeights) -> Result<Self, DrawError> {
        Self::on(BackendKind::Flex, weights)
    }

    /// Loads the weights onto a backend.
    ///
    /// # Errors
    /// Weights that do not fit their architecture, or a backend that is not available.
    pub fn on(backend: BackendKind, weights: &GeneratorWeights) -> Result<Self, DrawError> {
        let generator: Box<dyn Draw> = with_backend!(backend, A => Box::new(OnBackend::<Inner<A>>::new(weights)?));
        Ok(Self { generator, arch: weights.arch.clone() })
    }

    /// Height and width of the images in pixels.
    pub fn resolution(&self) -> usize {
        self.arch.resolution()
    }

    /// Channels of the images: 3 for RGB, 1 for grey.
    pub fn img_channels(&self) -> usize {
        self.arch.img_channels
    }

    /// Draws the images, each `[img_channels, height, width]` row-major, about in [-1, 1] and not limited. `going_on` is
    /// called with the number of images done and returns false to stop.
    ///
    /// # Errors
    /// Latents of another width than the generator's, or `going_on` returned false.
    pub fn images(
        &self,
        latents: &Latents,
        psi: f32,
        noise: NoiseMode,
        going_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Vec<f32>>, DrawError> {
        self.generator.images(latents, psi, noise, going_on)
    }

    /// Measures the activations over the images of `seeds`, for the quantiser, with this noise and without truncation. In
    /// each batch of feature maps, `looks` inputs of every convolution are looked at.
    pub fn calibrate(
        &self,
        seeds: &[u64],
        looks: usize,
        noise: NoiseMode,
        progress: &mut dyn FnMut(usize),
    ) -> Calibration {
        self.generator.calibrate(seeds, looks, noise, progress)
    }
}

/// The operations of a [`Preview`], on some backend.
trait Draw {
    fn images(
        &self,
        latents: &Latents,
        psi: f32,
        noise: NoiseMode,
        going_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Vec<f32>>, DrawError>;

    fn calibrate(&self, seeds: &[u64], looks: usize, noise: NoiseMode, progress: &mut dyn FnMut(usize)) -> Calibration;
}

struct OnBackend<B: Backend> {
    generator: Generator<B>,
    arch: GeneratorArch,
}

impl<B: Backend> Draw for OnBackend<B> {
    fn images(
        &self,
        latents: &Latents,
        psi: f32,
        noise: NoiseMode,
        going_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Vec<f32>>, DrawError> {
        let mut images = Vec::with_capacity(latents.len());
        for start in (0..latents.len()).step_by(BATCH) {
            let end = latents.len().min(start + BATCH);
            let ws = self.ws(latents, start, end, psi)?;
            let seeds: Vec<u64> = (start..end).map(|i| latents.seed(i)).collect();
            let batch = self.generator.synthesise(ws, &self.noise(noise, &seeds));
            let values: Vec<f32> = batch.into_data().iter().collect();
            images.extend(values.chunks(values.len() / (end - start)).map(<[f32]>::to_vec));
            if !going_on(end) {
                return Err(DrawError::Stopped);
            }
        }
        Ok(images)
    }

    fn calibrate(&self, seeds: &[u64], looks: usize, noise: NoiseMode, progress: &mut dyn FnMut(usize)) -> Calibration {
        let mut calibration = Calibration::new(looks);
        for (i, seeds) in seeds.chunks(BATCH).enumerate() {
            let ws = self.generator.ws(latents(seeds, self.arch.z_dim, &Default::default()));
            let noise = self.noise(noise, seeds);
            let mut observe = Observe { calibration: &mut calibration, maps: self.constant(seeds.len()), styles: None };
            self.generator.synthesise_tapped(ws.into(), &noise, &mut observe);
            progress(i * BATCH + seeds.len());
        }
        calibration
    }
}

impl<B: Backend> OnBackend<B> {
    fn new(weights: &GeneratorWeights) -> Result<Self, LoadError> {
        let empty = Generator::new(&weights.arch, &Default::default());
        Ok(Self { generator: names::load(empty, &weights.tensors)?, arch: weights.arch.clone() })
    }

    /// The learned constant, repeated for every image of a batch.
    fn constant(&self, batch: usize) -> Maps {
        let constant = self.generator.synthesis.blocks.first().and_then(|block| block.constant.as_ref());
        let values: Vec<f32> = constant.map_or(Vec::new(), |constant| constant.val().into_data().iter().collect());
        Maps { channels: values.len() / 16, size: 4, values: values.repeat(batch) }
    }

    fn ws(&self, given: &Latents, start: usize, end: usize, psi: f32) -> Result<Tensor<B, 3>, DrawError> {
        let device = Default::default();
        let rows = |rows: &Array2<f32>, width: usize| {
            if rows.ncols() != width {
                return Err(DrawError::Width { given: rows.ncols(), expected: width });
            }
            let values: Vec<f32> = rows.rows().into_iter().skip(start).take(end - start).flatten().copied().collect();
            Ok(Tensor::<B, 2>::from_data(TensorData::new(values, [end - start, width]), &device))
        };
        let z = match given {
            Latents::LayerW(layers) => {
                let (_, given, width) = layers.dim();
                if width != self.arch.w_dim {
                    return Err(DrawError::Width { given: width, expected: self.arch.w_dim });
                }
                let expected = self.arch.num_ws();
                if given != expected {
                    return Err(DrawError::Layers { given, expected });
                }
                let values: Vec<f32> = layers.slice(s![start..end, .., ..]).iter().copied().collect();
                return Ok(Tensor::from_data(TensorData::new(values, [end - start, given, width]), &device));
            }
            Latents::NumpySeeds(seeds) => {
                let width = self.arch.z_dim;
                let values = seeds[start..end].iter().flat_map(|&seed| numpy_random::latent(seed, width)).collect();
                Tensor::from_data(TensorData::new(values, [end - start, width]), &device)
            }
            Latents::W(w) => return Ok(self.generator.broadcast(rows(w, self.arch.w_dim)?)),
            Latents::Z(z) => rows(z, self.arch.z_dim)?,
            Latents::Seeds(seeds) => latents(&seeds[start..end], self.arch.z_dim, &device),
            Latents::Pairs(pairs) => {
                let pairs = &pairs[start..end];
                let of = |which: usize| {
                    let seeds: Vec<u64> = pairs.iter().map(|pair| pair.seeds[which]).collect();
                    let ws = self.generator.ws(latents(&seeds, self.arch.z_dim, &device));
                    self.generator.mapping.truncate(ws, psi, None)
                };
                let (first, second) = (of(0), of(1));
                let one = |(index, pair): (usize, &Pair)| {
                    joined(first.clone().narrow(0, index, 1), second.clone().narrow(0, index, 1), pair.join)
                };
                return Ok(Tensor::cat(pairs.iter().enumerate().map(one).collect(), 0));
            }
        };
        Ok(self.generator.mapping.truncate(self.generator.ws(z), psi, None))
    }

    fn noise(&self, mode: NoiseMode, seeds: &[u64]) -> Noise<B> {
        match mode {
            NoiseMode::None => Noise::None,
            NoiseMode::Const => Noise::Const,
            NoiseMode::Random => {
                let layers = 2 * self.arch.channels.len() - 1;
                let sizes: Vec<usize> = (0..layers).map(|l| block_resolution(l.div_ceil(2))).collect();
                Noise::Maps(noise_maps(seeds, &sizes, &Default::default()))
            }
        }
    }
}

/// Joins two sets of ws `[images, num_ws, w_dim]` as the device does.
fn joined<B: Backend>(first: Tensor<B, 3>, second: Tensor<B, 3>, join: Join) -> Tensor<B, 3> {
    let num_ws = first.dims()[1];
    match join {
        Join::Cut(0) => second,
        Join::Cut(cut) if usize::from(cut) >= num_ws => first,
        Join::Cut(cut) => {
            let cut = usize::from(cut);
            Tensor::cat(vec![first.narrow(1, 0, cut), second.narrow(1, cut, num_ws - cut)], 1)
        }
        Join::Weight(weight) => {
            let weight = f32::from(weight) / 16384.0;
            (second - first.clone()).mul_scalar(weight) + first
        }
    }
}

/// A tap that feeds a quantiser's calibration.
struct Observe<'a> {
    calibration: &'a mut Calibration,
    /// The newest feature maps, which are the next convolution's input.
    maps: Maps,
    /// The styles of a convolution, until its demodulation is known.
    styles: Option<Vec<f32>>,
}

impl<B: Backend> Tap<B> for Observe<'_> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        let values: Vec<f32> = tensor.to_data().iter().collect();
        match name.rsplit_once('.') {
            Some((layer, "styles")) if layer.ends_with("torgb") => {
                self.calibration.observe_inputs(layer, Kind::Rgb, &self.maps, &values);
            }
            Some((_, "styles")) => self.styles = Some(values),
            Some((layer, "dcoefs")) => {
                let Some(mut styles) = self.styles.take() else { return };
                // The factors of the outputs, averaged to one for each image.
                let batch = styles.len() / self.maps.channels;
                let outputs = values.len() / batch;
                for (styles, factors) in styles.chunks_mut(self.maps.channels).zip(values.chunks(outputs)) {
                    let mean = (factors.iter().map(|d| d * d).sum::<f32>() / outputs as f32).sqrt();
                    styles.iter_mut().for_each(|style| *style *= mean);
                }
                let kind = if layer.ends_with("conv0") { Kind::Doubling } else { Kind::Plain };
                self.calibration.observe_inputs(layer, kind, &self.maps, &styles);
            }
            Some((layer, last)) => {
                self.calibration.observe(name, &values);
                if last == "out"
                    && !layer.ends_with("torgb")
                    && let [_, channels, size, _] = tensor.dims()[..]
                {
                    self.maps = Maps { values, channels, size };
                }
            }
            None => {}
        }
    }
}
