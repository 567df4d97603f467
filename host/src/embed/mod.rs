//! Frozen embedding networks phi: for DiME (`docs/method.md` section 3) and for the features of metrics.

pub mod bottleneck;
pub mod clip_rn50;
pub mod folded;
pub mod inception;
pub mod layout;
pub mod resnet50;
pub mod small;
pub mod spec;

use burn::tensor::{Tensor, backend::Backend};

use clip_rn50::ClipRn50;
use inception::Inception;
use layout::Layout;
use nickeldime_checkpoint::{self as checkpoint, CheckpointError, model::weights::Tensors};
use resnet50::ResNet50;
use small::Small;
use spec::{EmbedSpec, Kind};

use crate::{
    hash::sha256,
    nets::{names::LoadError, tap::Tap},
};

/// The weights of an embedder, as read from a user's file.
#[derive(Debug, Clone)]
pub struct EmbedderWeights {
    /// The embedder as the user named it.
    pub spec: EmbedSpec,
    /// The SHA-256 of the file, as hexadecimal text.
    pub sha256: String,
    tensors: Tensors,
}

impl EmbedderWeights {
    /// Reads the weights of the embedder that a user names.
    ///
    /// # Errors
    /// The file is missing, damaged, or holds another network. The error names the file, the tensor and the problem.
    pub fn read(spec: &EmbedSpec) -> Result<Self, CheckpointError> {
        let path = &spec.path;
        let bytes = checkpoint::read_file(path)?;
        let layout = layout(spec.kind);
        let tensors = checkpoint::read_chosen(path, &bytes, |shapes| layout.choose(shapes))?;
        for (name, array) in &tensors {
            let wrong = |problem: &str| CheckpointError::Network {
                file: path.clone(),
                place: name.clone(),
                problem: problem.into(),
            };
            if array.iter().any(|x| !x.is_finite()) {
                return Err(wrong("numbers that are not finite: damaged"));
            }
            if name.ends_with(".running_var") && array.iter().any(|&x| x < 0.0) {
                return Err(wrong("a variance below 0: damaged"));
            }
        }
        Ok(Self { spec: spec.clone(), sha256: sha256(&bytes), tensors })
    }

    /// The kind and the beginning of the file's hash. The name does not depend on the file's path.
    pub fn name(&self) -> String {
        format!("{}-{}", self.spec.kind.name(), &self.sha256[..8])
    }

    /// Builds the network on a device.
    ///
    /// # Errors
    /// A tensor is missing or has another size. Weights that [`EmbedderWeights::read`] returned give no error.
    pub fn build<B: Backend>(&self, device: &B::Device) -> Result<Embedder<B>, LoadError> {
        let tensors = &self.tensors;
        Ok(match self.spec.kind {
            Kind::Small => Embedder::Small(Small::new(tensors, device)?),
            Kind::Dino | Kind::Resnet50 => Embedder::ResNet50(ResNet50::new(tensors, device)?),
            Kind::Clip => Embedder::Clip(ClipRn50::new(tensors, device)?),
            Kind::Inception => Embedder::Inception(Inception::new(tensors, device)?),
        })
    }
}

fn layout(kind: Kind) -> Layout {
    match kind {
        Kind::Small => small::layout(),
        Kind::Dino => resnet50::dino(),
        Kind::Resnet50 => resnet50::torchvision(),
        Kind::Clip => clip_rn50::layout(),
        Kind::Inception => inception::layout(),
    }
}

/// A frozen network from images to features.
#[derive(Debug, Clone)]
pub enum Embedder<B: Backend> {
    /// A small in-domain convolutional network, which is not one of the paper's.
    Small(Small<B>),
    /// DINO's or torchvision's ResNet-50.
    ResNet50(ResNet50<B>),
    /// CLIP RN50's image tower.
    Clip(ClipRn50<B>),
    /// FID's Inception-v3.
    Inception(Inception<B>),
}

impl<B: Backend> Embedder<B> {
    /// Maps images `[batch, 3, h, w]` in [-1, 1] to features `[batch, features]`. One channel is taken as three equal
    /// ones.
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let [batch, channels, height, width] = images.dims();
        let images = if channels == 1 { images.expand([batch, 3, height, width]) } else { images };
        match self {
            Self::Small(network) => network.features(images),
            Self::ResNet50(network) => network.features(images),
            Self::Clip(network) => network.features(images),
            Self::Inception(network) => network.features(images),
        }
    }

    /// Four feature maps of images `[batch, 3, h, w]` in [-1, 1], from fine to coarse: the outputs of the small
    /// network's convolutions or of a ResNet-50's layers. For Inception the list is empty.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut maps = CatchMaps(Vec::new());
        match self {
            Self::Small(network) => return network.maps(images),
            Self::ResNet50(network) => _ = network.features_tapped(images, &mut maps),
            Self::Clip(network) => _ = network.features_tapped(images, &mut maps),
            Self::Inception(_) => {}
        }
        maps.0
    }
}

/// A tap that keeps the outputs of a ResNet's four layers.
struct CatchMaps<B: Backend>(Vec<Tensor<B, 4>>);

impl<B: Backend> Tap<B> for CatchMaps<B> {
    fn see<const D: usize>(&mut self, name: &str, tensor: &Tensor<B, D>) {
        if name.starts_with("layer") {
            // A layer's output is a feature map, so `D` is 4.
            self.0.push(Tensor::from_primitive(tensor.clone().into_primitive()));
        }
    }
}
