//! The networks of the golden files.

use burn::tensor::backend::Backend;
use nickeldime::nets::{discriminator::Discriminator, generator::Generator, names::load};
use nickeldime_checkpoint::model::{
    arch::{DiscriminatorArch, GeneratorArch, RGB},
    weights::{DiscriminatorWeights, GeneratorWeights},
};

use super::golden::Golden;

pub fn generator_arch() -> GeneratorArch {
    let channels = vec![16, 16, 12, 8];
    GeneratorArch { z_dim: 32, w_dim: 32, mapping_layers: 2, channels, img_channels: RGB, conv_clamp: None }
}

pub fn discriminator_arch() -> DiscriminatorArch {
    DiscriminatorArch::beside(&generator_arch(), 4)
}

pub fn generator_weights(golden: &Golden) -> GeneratorWeights {
    GeneratorWeights { arch: generator_arch(), tensors: golden.below("G.") }
}

pub fn build<B: Backend>(weights: &GeneratorWeights) -> Generator<B> {
    let empty = Generator::new(&weights.arch, &Default::default());
    load(empty, &weights.tensors).unwrap()
}

pub fn build_critic<B: Backend>(weights: &DiscriminatorWeights) -> Discriminator<B> {
    let empty = Discriminator::new(&weights.arch, &Default::default());
    load(empty, &weights.tensors).unwrap()
}

pub fn generator<B: Backend>(golden: &Golden) -> Generator<B> {
    build(&generator_weights(golden))
}

pub fn discriminator<B: Backend>(golden: &Golden) -> Discriminator<B> {
    build_critic(&DiscriminatorWeights { arch: discriminator_arch(), tensors: golden.below("D.") })
}
