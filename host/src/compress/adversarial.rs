//! The non-saturating logistic loss for generators and critics (`docs/method.md` section 5).

use burn::tensor::{Tensor, activation::relu, backend::Backend};

/// Softplus, `log(1 + e^x)`, without overflow for large x.
fn softplus<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let tail = x.clone().abs().neg().exp().add_scalar(1.0).log();
    relu(x) + tail
}

/// `mean softplus(-logits)`: low if the critic takes the images for real ones.
pub fn as_real<B: Backend>(logits: Tensor<B, 2>) -> Tensor<B, 1> {
    softplus(logits.neg()).mean()
}

/// `mean softplus(logits)`: low if the critic takes the images for fakes.
pub fn as_fake<B: Backend>(logits: Tensor<B, 2>) -> Tensor<B, 1> {
    softplus(logits).mean()
}
