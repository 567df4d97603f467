//! DiME: the student's batch against the teacher's global moments, in an embedding (`method.md` section 3).

use burn::tensor::{Tensor, backend::Backend};

use super::mmd::Bank;
pub use crate::embed::spec::MomentWeights;

/// Mean of the features and of their squares, each `[1, features]`.
#[derive(Debug, Clone)]
pub struct Moments<B: Backend> {
    /// `E[phi]`.
    pub first: Tensor<B, 2>,
    /// `E[phi^2]`, element by element.
    pub second: Tensor<B, 2>,
}

impl<B: Backend> Moments<B> {
    /// The moments of a batch of features `[batch, features]`.
    pub fn of(features: Tensor<B, 2>) -> Self {
        Self { first: features.clone().mean_dim(0), second: features.powi_scalar(2).mean_dim(0) }
    }

    /// `mean |b1 - m1|` and `mean |b2 - m2|`: how far these moments are from `others`, averaged over features.
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

/// The teacher's distribution in one embedding.
#[derive(Debug, Clone)]
pub enum Target<B: Backend> {
    /// Its global moments: the paper's.
    Moments(Moments<B>),
    /// A bank of its features, under a kernel.
    Bank(Bank<B>),
}

impl<B: Backend> Target<B> {
    /// How far a student batch's features `[batch, features]` are from it. A bank has one weight, the first.
    pub fn loss(&self, features: Tensor<B, 2>, weights: MomentWeights) -> Tensor<B, 1> {
        match self {
            Self::Moments(global) => loss(features, global, weights),
            Self::Bank(bank) => bank.loss(features).mul_scalar(weights.first),
        }
    }
}
