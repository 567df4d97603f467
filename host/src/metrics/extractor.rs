//! The networks in whose features images are compared.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use burn::tensor::{Tensor, TensorData, backend::Backend};
use ndarray::{Array2, Array4};
use nickeldime_checkpoint::{
    self as checkpoint, CheckpointError, NoCritic,
    model::arch::{DeviationGroup, GREY},
};
use serde::Serialize;

use super::images::Images;
use crate::{
    backend::{BackendKind, Inner, Unavailable, with_backend},
    data::luminance,
    embed::{
        Embedder, EmbedderWeights,
        spec::{EmbedSpec, Kind},
    },
    hash::sha256_of,
    nets::{
        discriminator::Discriminator,
        names::{self, LoadError},
        tap::Tap,
    },
    progress::Progress,
};

/// The batch size of feature extraction.
const BATCH: usize = 16;

/// An extractor as a user names it: `inception=FILE`, `small=FILE`, `critic=FILE`.
#[derive(Debug, Clone, PartialEq)]
pub enum Extractor {
    /// An embedding network; its weight in DiME plays no part.
    Embedder(EmbedSpec),
    /// The discriminator of a checkpoint: the input of its last layer (`b4.fc`, as many features as 4x4 has channels).
    /// The minibatch deviation is taken over one image, so that no image's features depend on its neighbours.
    Critic(PathBuf),
}

impl Extractor {
    /// The kind of network: `inception`, `small`, `critic`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Embedder(spec) => spec.kind.name(),
            Self::Critic(_) => "critic",
        }
    }

    /// The file with its weights.
    pub fn path(&self) -> &Path {
        match self {
            Self::Embedder(spec) => &spec.path,
            Self::Critic(path) => path,
        }
    }

    /// True for Inception, whose features the paper and all published numbers use.
    pub fn is_of_the_paper(&self) -> bool {
        match self {
            Self::Embedder(spec) => spec.kind == Kind::Inception,
            Self::Critic(_) => false,
        }
    }
}

impl FromStr for Extractor {
    type Err = String;

    /// `critic=FILE`, or an embedder's `KIND=FILE`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("critic", "")) => Err(format!("{text:?}: a file is needed")),
            Some(("critic", file)) => Ok(Self::Critic(file.into())),
            Some(_) => text.parse().map(Self::Embedder).map_err(|e| format!("{e}; critic=FILE takes a discriminator")),
            None => Err(format!("{text:?}: write inception=FILE, small=FILE or critic=FILE")),
        }
    }
}

/// The identity of the features that a metric was measured in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureIdentity {
    /// The kind and the beginning of the file's hash. The name does not depend on the file's path.
    pub name: String,
    /// The kind of network, as in [`Extractor::kind`].
    pub kind: &'static str,
    /// The file of the weights.
    pub file: PathBuf,
    /// The SHA-256 of that file.
    pub sha256: String,
    /// True for Inception's features, which published numbers use.
    pub of_the_paper: bool,
}

/// Errors of computing features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The file of the weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tensor is missing or has the wrong shape.
    #[error("{}: not weights of this kind of network: {cause}", .file.display())]
    Load {
        /// The file of the weights.
        file: PathBuf,
        /// The name of the tensor and the problem with it.
        cause: LoadError,
    },
    /// The checkpoint gives a generator alone.
    #[error("{}: no critic whose features could be taken: {cause}", .file.display())]
    NoDiscriminator {
        /// The checkpoint.
        file: PathBuf,
        /// Why it gives none.
        cause: NoCritic,
    },
    /// The images have another size than the critic takes.
    #[error("the images are {images}x{images}, the critic takes {critic}x{critic}")]
    Resolution {
        /// The size of the images.
        images: usize,
        /// The size that the critic takes.
        critic: usize,
    },
    /// The backend is not available.
    #[error(transparent)]
    Backend(#[from] Unavailable),
    /// The images could not be read.
    #[error("{0}")]
    Images(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user stopped the command.
    #[error("stopped before all features were taken")]
    Stopped,
}

/// An extractor with its network on a backend.
#[derive(Debug)]
pub struct FeatureNetwork {
    identity: FeatureIdentity,
    network: Box<dyn Extract>,
}

/// The network of an extractor on one of the backends.
trait Extract: std::fmt::Debug {
    fn features(&self, images: Array4<f32>) -> Result<Array2<f32>, ExtractError>;
}

#[derive(Debug)]
enum Network<B: Backend> {
    Embedder(Box<Embedder<B>>),
    Critic { network: Box<Discriminator<B>>, resolution: usize },
}

impl<B: Backend> Network<B> {
    fn open(extractor: &Extractor) -> Result<Self, ExtractError> {
        let load = |cause| ExtractError::Load { file: extractor.path().into(), cause };
        match extractor {
            Extractor::Embedder(spec) => {
                let weights = EmbedderWeights::read(spec)?;
                Ok(Self::Embedder(Box::new(weights.build(&Default::default()).map_err(load)?)))
            }
            Extractor::Critic(path) => {
                let checkpoint = checkpoint::open(path)?;
                let none = |cause| ExtractError::NoDiscriminator { file: path.clone(), cause };
                let weights = checkpoint.critic().map_err(none)?;
                let empty = Discriminator::new(&weights.arch, &Default::default());
                let mut network = names::load(empty, &weights.tensors).map_err(load)?;
                if network.b4.group != DeviationGroup::Absent {
                    network.b4.group = DeviationGroup::Samples(1);
                }
                Ok(Self::Critic { network: Box::new(network), resolution: weights.arch.resolution() })
            }
        }
    }
}

impl<B: Backend> Extract for Network<B> {
    fn features(&self, images: Array4<f32>) -> Result<Array2<f32>, ExtractError> {
        let images = match self {
            Self::Critic { network, .. } if network.img_channels() == GREY => luminance(images.view()),
            _ => images,
        };
        let (count, _, height, _) = images.dim();
        let shape = images.shape().to_vec();
        let values = images.iter().copied().collect();
        let images = Tensor::<B, 4>::from_data(TensorData::new(values, shape), &Default::default());
        let features = match self {
            Self::Embedder(embedder) => embedder.features(images),
            Self::Critic { network, resolution } => {
                if height != *resolution {
                    return Err(ExtractError::Resolution { images: height, critic: *resolution });
                }
                let mut last = CatchLast(Vec::new());
                network.forward_tapped(images.into(), &mut last);
                let values = last.0;
                let width = values.len() / count.max(1);
                let data = TensorData::new(values, [count, width]);
                Tensor::from_data(data, &Default::default())
            }
        };
        let [rows, columns] = features.dims();
        let values: Vec<f32> = features.into_data().iter().collect();
        Ok(Array2::from_shape_vec((rows, columns), values).unwrap_or_default())
    }
}

impl FeatureNetwork {
    /// Reads the weights and loads the network onto a backend.
    ///
    /// # Errors
    /// The file is missing, damaged, or holds another network, or the backend is not available.
    pub fn open(extractor: &Extractor, backend: BackendKind) -> Result<Self, ExtractError> {
        let file = extractor.path();
        let network: Box<dyn Extract> = with_backend!(backend, A => Box::new(Network::<Inner<A>>::open(extractor)?));
        let sha256 = sha256_of(file).map_err(|cause| ExtractError::Images(cause.into()))?;
        let kind = extractor.kind();
        let identity = FeatureIdentity {
            name: format!("{kind}-{}", &sha256[..8]),
            kind,
            file: file.into(),
            sha256,
            of_the_paper: extractor.is_of_the_paper(),
        };
        Ok(Self { identity, network })
    }

    /// The identity of the features that this extractor computes.
    pub fn identity(&self) -> &FeatureIdentity {
        &self.identity
    }

    /// The features of a batch `[batch, 3, height, width]` in [-1, 1]: `[batch, features]`. An image's features do not
    /// depend on the rest of the batch.
    ///
    /// # Errors
    /// Images of a size that the network does not take.
    pub fn features(&self, images: Array4<f32>) -> Result<Array2<f32>, ExtractError> {
        self.network.features(images)
    }

    /// The features `[images, features]` of all images, in their order.
    ///
    /// # Errors
    /// An image cannot be read or has the wrong size, or `progress` asked to stop.
    pub fn extract(&self, images: &dyn Images, progress: &mut dyn Progress) -> Result<Array2<f32>, ExtractError> {
        let total = images.len();
        progress.begin("taking features", "img", total as u64);
        let mut all = Vec::new();
        let mut width = 0;
        for start in (0..total).step_by(BATCH) {
            if progress.stopped() {
                return Err(ExtractError::Stopped);
            }
            let end = total.min(start + BATCH);
            let features = self.features(images.batch(start..end).map_err(ExtractError::Images)?)?;
            if start == 0 {
                width = features.ncols();
                all.reserve_exact(total * width);
            }
            all.extend(features.iter());
            progress.at(end as u64, "");
        }
        progress.end();
        Ok(Array2::from_shape_vec((total, width), all).unwrap_or_default())
    }
}

/// A tap that keeps the input of a discriminator's last layer.
struct CatchLast(Vec<f32>);

impl<B: Backend> Tap<B> for CatchLast {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        if name == "b4.fc.out" {
            self.0 = tensor.to_data().iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extractors_are_named_by_kind_and_file() {
        let critic: Extractor = "critic=a=b.pkl".parse().unwrap();
        assert_eq!(critic, Extractor::Critic("a=b.pkl".into()));
        let small: Extractor = "small=e.safetensors".parse().unwrap();
        assert_eq!((small.kind(), small.path()), ("small", Path::new("e.safetensors")));
        for text in ["", "critic", "critic=", "e.safetensors", "magic=f"] {
            assert!(text.parse::<Extractor>().is_err(), "{text}");
        }
    }
}
