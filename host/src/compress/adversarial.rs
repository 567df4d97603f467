//! The non-saturating logistic loss, seen from both sides (`method.md` section 5).

use burn::tensor::{Tensor, activation::relu, backend::Backend};

/// `log(1 + e^x)` without overflow.
fn softplus<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let tail = x.clone().abs().neg().exp().add_scalar(1.0).log();
    relu(x) + tail
}

/// Low when the critic takes the images for real: `mean softplus(-logits)`.
pub fn as_real<B: Backend>(logits: Tensor<B, 2>) -> Tensor<B, 1> {
    softplus(logits.neg()).mean()
}

/// Low when the critic takes the images for fakes: `mean softplus(logits)`.
pub fn as_fake<B: Backend>(logits: Tensor<B, 2>) -> Tensor<B, 1> {
    softplus(logits).mean()
}
