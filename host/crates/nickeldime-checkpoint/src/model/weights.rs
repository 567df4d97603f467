//! Named tensors, and the networks' weights as files hold them.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::ArrayD;

use crate::model::arch::{ArchError, DeviationGroup, DiscriminatorArch, GeneratorArch, Shapes};

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

/// The networks of a checkpoint: the averaged generator and, if the file has one that can be read, the discriminator.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The exponential moving average of the generator, which is the result of a training.
    pub generator: GeneratorWeights,
    /// The discriminator at the end of the training.
    pub discriminator: Option<DiscriminatorWeights>,
    /// What a user of the networks should know and the weights do not show.
    pub remarks: Vec<Remark>,
}

/// Something in a file that was not read as it is. The text is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// The file has a discriminator that was not read.
    CriticNotRead {
        /// The discriminator's name in the file.
        name: String,
        /// What is not supported, or what is damaged.
        reason: String,
    },
    /// The file has no mean of w, so it was computed from this many mapped latents, those of the seeds from 0 on.
    MeasuredMean(usize),
    /// The file has no noise maps, so they are 0.
    WithoutNoise,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::CriticNotRead { name, reason } => write!(f, "the critic ({name}) was not read: {reason}"),
            Self::MeasuredMean(latents) => write!(
                f,
                "the file has no latent_avg: the mean of w was measured over {latents} latents (seeds 0 to {})",
                latents.saturating_sub(1)
            ),
            Self::WithoutNoise => f.write_str("the file has no noise maps: constant noise is none here"),
        }
    }
}

/// Why a checkpoint has no discriminator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct NoCritic {
    /// What is wrong with the file's discriminator; `None` if the file has none.
    pub reason: Option<String>,
}

impl NoCritic {
    fn sentence(&self) -> String {
        match &self.reason {
            Some(reason) => format!("its discriminator was not read: {reason}"),
            None => "it has no discriminator, such as the `D` of a training's .pkl".into(),
        }
    }
}

impl Checkpoint {
    /// A checkpoint with a generator only.
    pub fn of_generator(generator: GeneratorWeights) -> Self {
        Self { generator, discriminator: None, remarks: Vec::new() }
    }

    /// The discriminator.
    ///
    /// # Errors
    /// The reason why there is no discriminator.
    pub fn critic(&self) -> Result<&DiscriminatorWeights, NoCritic> {
        let reason = || {
            self.remarks.iter().find_map(|remark| match remark {
                Remark::CriticNotRead { reason, .. } => Some(reason.clone()),
                _ => None,
            })
        };
        self.discriminator.as_ref().ok_or_else(|| NoCritic { reason: reason() })
    }
}

impl GeneratorWeights {
    /// Makes a generator of `tensors`, whose names have no prefix. `resample_filter` buffers are checked and dropped,
    /// because they are the same constant everywhere.
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
    /// Makes a discriminator of `tensors`, whose names have no prefix, like [`GeneratorWeights::from_tensors`].
    ///
    /// `mbstd_group` is used if the tensors show a minibatch standard deviation.
    ///
    /// # Errors
    /// The errors of [`GeneratorWeights::from_tensors`]; or a group that says "absent" although the tensors have the
    /// layer.
    pub fn from_tensors(
        tensors: Tensors,
        mbstd_group: DeviationGroup,
        conv_clamp: Option<f32>,
    ) -> Result<Self, ArchError> {
        let mut arch = DiscriminatorArch::from_shapes(&shapes(&tensors))?;
        arch.conv_clamp = checked_clamp(conv_clamp)?;
        if arch.mbstd_group != DeviationGroup::Absent {
            if mbstd_group == DeviationGroup::Absent {
                let problem = "absent, but b4.conv.weight takes its channel";
                return Err(ArchError { place: "mbstd_group_size".into(), problem: problem.into() });
            }
            arch.mbstd_group = mbstd_group;
        }
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

/// Refuses tensors that no working network has, and removes the filters.
fn checked(mut tensors: Tensors) -> Result<Tensors, ArchError> {
    for (name, array) in &tensors {
        let problem = if array.iter().any(|x| !x.is_finite()) {
            "holds NaN or infinity: the training that wrote it had failed, or the file is damaged"
        } else if is_filter(name) && !is_the_filter(array) {
            OTHER_FILTER
        } else {
            continue;
        };
        return Err(ArchError { place: name.clone(), problem: problem.into() });
    }
    tensors.retain(|name, _| !is_filter(name));
    Ok(tensors)
}

/// The problem text for other filters.
pub(crate) const OTHER_FILTER: &str = "not the filter [1, 3, 3, 1]: only that one is supported";

fn is_filter(name: &str) -> bool {
    name.ends_with(".resample_filter")
}

/// True if an array is `[4, 4]` and equals [`RESAMPLE_FILTER`].
pub(crate) fn is_the_filter(array: &ArrayD<f32>) -> bool {
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
    array.len() == RESAMPLE_FILTER.len() && array.iter().zip(&RESAMPLE_FILTER).all(close)
}
