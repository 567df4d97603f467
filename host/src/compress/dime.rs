//! DiME: compares the student's batch with the teacher's distribution in an embedding (`docs/method.md` section 3).

use burn::tensor::{Tensor, backend::Backend};

use super::mmd::Bank;
pub use crate::embed::spec::MomentWeights;

/// First and second moments of features, each `[1, features]`.
#[derive(Debug, Clone)]
pub struct Moments<B: Backend> {
    /// The mean of the features, `E[phi]`.
    pub first: Tensor<B, 2>,
    /// The mean of the features' squares, `E[phi^2]`, element by element.
    pub second: Tensor<B, 2>,
}

impl<B: Backend> Moments<B> {
    /// The moments of a batch of features `[batch, features]`.
    pub fn of(features: Tensor<B, 2>) -> Self {
        Self { first: features.clone().mean_dim(0), second: features.powi_scalar(2).mean_dim(0) }
    }

    /// The distances `mean |b1 - m1|` and `mean |b2 - m2|` from the moments `others`, averaged over features.
    pub fn distances(&self, others: &Self) -> [Tensor<B, 1>; 2] {
        [(&self.first, &others.first), (&self.second, &others.second)]
            .map(|(a, b)| (a.clone() - b.clone()).abs().mean())
    }
}

/// The DiME loss of a student batch's features `[batch, features]` under one embedding.
pub fn loss<B: Backend>(features: Tensor<B, 2>, global: &Moments<B>, weights: MomentWeights) -> Tensor<B, 1> {
    let [first, second] = Moments::of(features).distances(global);
    first.mul_scalar(weights.first) + second.mul_scalar(weights.second)
}

/// The teacher's distribution in one embedding, as tensors.
#[derive(Debug, Clone)]
pub enum MomentTarget<B: Backend> {
    /// The global moments, as in the paper.
    Moments(Moments<B>),
    /// A bank of features, compared by a kernel.
    Bank(Bank<B>),
}

impl<B: Backend> MomentTarget<B> {
    /// The weighted distance of a student batch's features `[batch, features]` from the teacher's distribution. A bank
    /// uses the first weight only.
    pub fn loss(&self, features: Tensor<B, 2>, weights: MomentWeights) -> Tensor<B, 1> {
        match self {
            Self::Moments(global) => loss(features, global, weights),
            Self::Bank(bank) => bank.loss(features).mul_scalar(weights.first),
        }
    }
}
