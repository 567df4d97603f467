//! Frozen embedding networks: the kernels phi of DiME (`method.md` section 3).

pub mod small;
pub mod spec;

use burn::tensor::{Tensor, backend::Backend};

use small::Small;

/// A frozen network from images to features.
#[derive(Debug, Clone)]
pub enum Embedder<B: Backend> {
    /// A small in-domain convolutional network; not one of the paper's.
    Small(Small<B>),
}

impl<B: Backend> Embedder<B> {
    /// `[batch, 3, h, w]` in [-1, 1] to `[batch, features]`.
    pub fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        match self {
            Self::Small(small) => small.features(images),
        }
    }
}
