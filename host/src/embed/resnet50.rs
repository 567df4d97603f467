//! ResNet-50 (v1.5) without its classifier, with the weights of DINO or torchvision.

use burn::tensor::{Tensor, backend::Backend, module::max_pool2d};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};

use super::{
    bottleneck::{self, EPSILON, Halving, Layers},
    folded::{Conv, ConvSpec, global_mean},
    layout::Layout,
};
use crate::nets::{
    names::LoadError,
    tap::{NoTap, Tap},
};

/// The network. Its 2048 features are the mean of the last feature map.
#[derive(Debug, Clone)]
pub struct ResNet50<B: Backend> {
    stem: Conv<B>,
    layers: Layers<B>,
}

fn stem() -> ConvSpec {
    ConvSpec { conv: "conv1".into(), norm: "bn1".into(), shape: [64, 3, 7, 7], stride: 2, padding: [3, 3] }
}

fn layout(file: &'static str) -> Layout {
    let mut tensors = Shapes::new();
    stem().tensors(&mut tensors);
    bottleneck::convolutions(Halving::Stride).for_each(|conv| conv.tensors(&mut tensors));
    Layout {
        network: "ResNet-50",
        file,
        marker: "layer4.2.conv3.weight",
        tensors,
        witnesses: Shapes::new(),
        foreign: &[],
        closed: &["conv", "layer"],
    }
}

/// The tensors of DINO's file: the backbone alone, or the teacher of a full checkpoint.
pub fn dino() -> Layout {
    Layout {
        foreign: &[("fc.weight", "a ResNet-50 with a classifier, which DINO's has not: name it resnet50=FILE")],
        ..layout("DINO's dino_resnet50_pretrain.pth")
    }
}

/// The tensors of torchvision's file. It has a classifier, which is not used.
pub fn torchvision() -> Layout {
    layout("torchvision's resnet50-*.pth")
}

impl<B: Backend> ResNet50<B> {
    /// Builds the network from tensors `conv1.weight`, `bn1.weight`, `layer1.0.conv1.weight`, ...
    ///
    /// # Errors
    /// A tensor is missing or has another size; the error names the first.
    pub fn new(tensors: &Tensors, device: &B::Device) -> Result<Self, LoadError> {
        Ok(Self {
            stem: Conv::folded(&stem(), EPSILON, tensors, device)?,
            layers: Layers::new(Halving::Stride, tensors, device)?,
        })
    }

    /// Maps images `[batch, 3, h, w]` in [-1, 1] to features `[batch, 2048]`. Images are neither resized nor normalised
    /// (`docs/method.md` section 3).
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        self.features_tapped(images, &mut NoTap)
    }

    /// The same mapping; `tap` sees the outputs of `stem` and the layers.
    pub fn features_tapped(&self, images: Tensor<B, 4>, tap: &mut impl Tap<B>) -> Tensor<B, 2> {
        let x = max_pool2d(self.stem.active(images), [3, 3], [2, 2], [1, 1], [1, 1], false);
        tap.see("stem", &x);
        global_mean(self.layers.forward(x, tap))
    }
}
