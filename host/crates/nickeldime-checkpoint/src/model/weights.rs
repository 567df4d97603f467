//! Named tensors on the host, and the networks' weights as files hold them.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use crate::model::arch::{ArchError, DiscriminatorArch, GeneratorArch, Shapes};

/// Named `f32` tensors, row-major, under StyleGAN2-ADA's parameter names.
pub type Tensors = BTreeMap<String, ArrayD<f32>>;

/// A generator: its shape, and every parameter and buffer (`mapping.fc0.weight`, `synthesis.b4.const`, ...).
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorWeights {
    /// Sizes, consistent with `tensors`.
    pub arch: GeneratorArch,
    /// Exactly the tensors that the architecture has ([`GeneratorArch::tensor_shapes`]), in the shapes that it has.
    pub tensors: Tensors,
}

/// A discriminator: its shape, and every parameter (`b32.fromrgb.weight`, ...).
#[derive(Debug, Clone, PartialEq)]
pub struct DiscriminatorWeights {
    /// Sizes, consistent with `tensors`.
    pub arch: DiscriminatorArch,
    /// Exactly the tensors that the architecture has ([`DiscriminatorArch::tensor_shapes`]), in the shapes that it has.
    pub tensors: Tensors,
}

/// What a StyleGAN2-ADA checkpoint gives: the averaged generator and, where the file has one, the discriminator.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The exponential moving average of the generator: the product of a training.
    pub generator: GeneratorWeights,
    /// The discriminator at the end of the training.
    pub discriminator: Option<DiscriminatorWeights>,
}

impl GeneratorWeights {
    /// The generator that `tensors` (names without a prefix) make up. `resample_filter` buffers are checked and
    /// dropped: they are the same constant everywhere.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, of the wrong shape, or not finite; a clamp that is not above 0.
    pub fn from_tensors(tensors: Tensors, conv_clamp: Option<f32>) -> Result<Self, ArchError> {
        let mut arch = GeneratorArch::from_shapes(&shapes(&tensors))?;
        arch.conv_clamp = checked_clamp(conv_clamp)?;
        Ok(Self { arch, tensors: checked(tensors)? })
    }
}

impl DiscriminatorWeights {
    /// The discriminator that `tensors` (names without a prefix) make up, as [`GeneratorWeights::from_tensors`].
    ///
    /// # Errors
    /// As there; a minibatch group of 0.
    pub fn from_tensors(tensors: Tensors, mbstd_group: usize, conv_clamp: Option<f32>) -> Result<Self, ArchError> {
        let mut arch = DiscriminatorArch::from_shapes(&shapes(&tensors))?;
        arch.conv_clamp = checked_clamp(conv_clamp)?;
        if !(1..=1 << 16).contains(&mbstd_group) {
            return Err(ArchError {
                place: "mbstd_group_size".into(),
                problem: format!("{mbstd_group}: expected a number of samples"),
            });
        }
        arch.mbstd_group = mbstd_group;
        Ok(Self { arch, tensors: checked(tensors)? })
    }
}

/// The FIR filter of every official network, `outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64`, row-major `[4, 4]`.
pub const RESAMPLE_FILTER: [f32; 16] = {
    let taps = [1.0, 3.0, 3.0, 1.0];
    let mut filter = [0.0; 16];
    let mut i = 0;
    while i < 16 {
        filter[i] = taps[i / 4] * taps[i % 4] / 64.0;
        i += 1;
    }
    filter
};

fn shapes(tensors: &Tensors) -> Shapes {
    let shape = |(name, array): (&String, &ArrayD<f32>)| (name.clone(), array.shape().to_vec());
    tensors.iter().map(shape).collect()
}

fn checked_clamp(conv_clamp: Option<f32>) -> Result<Option<f32>, ArchError> {
    match conv_clamp {
        Some(c) if !(c.is_finite() && c > 0.0) => {
            Err(ArchError { place: "conv_clamp".into(), problem: format!("{c}: expected a number above 0, or none") })
        }
        _ => Ok(conv_clamp),
    }
}

/// Refuses what no working network has, and takes the filters out.
fn checked(mut tensors: Tensors) -> Result<Tensors, ArchError> {
    for (name, array) in &tensors {
        let problem = if array.iter().any(|x| !x.is_finite()) {
            "holds NaN or infinity: the training that wrote it had failed, or the file is damaged"
        } else if is_filter(name) && !is_the_filter(array) {
            "not the filter [1, 3, 3, 1]: only that one is supported"
        } else {
            continue;
        };
        return Err(ArchError { place: name.clone(), problem: problem.into() });
    }
    tensors.retain(|name, _| !is_filter(name));
    Ok(tensors)
}

fn is_filter(name: &str) -> bool {
    name.ends_with(".resample_filter")
}

fn is_the_filter(array: &ArrayD<f32>) -> bool {
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
    array.len() == RESAMPLE_FILTER.len() && array.iter().zip(&RESAMPLE_FILTER).all(close)
}
