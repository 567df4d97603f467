//! The general form of DiME (`docs/method.md` section 3): the maximum mean discrepancy between the features of the
//! student's batch and a bank of the teacher's features, under a kernel.
//!
//! With the batch's features `x_1 .. x_n`, the bank's `y_1 .. y_m` and a kernel kappa, the unbiased estimate is
//!
//! ```text
//! MMD^2 =  1 / (n (n - 1))  sum_{i != j} kappa(x_i, x_j)
//!        + 1 / (m (m - 1))  sum_{i != j} kappa(y_i, y_j)
//!        - 2 / (n m)        sum_{i, j}   kappa(x_i, y_j)
//!
//! rbf:   kappa(a, b) = exp(-|a - b|^2 / s),   s the median of |y_i - y_j|^2 over i < j
//! poly:  kappa(a, b) = (a . b / d + 1)^3,     d features (KID's kernel)
//! ```
//!
//! The estimate has mean 0 if both distributions are equal, so single values may be below 0.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

/// The way in which the distributions of student and teacher are compared in an embedding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mmd {
    /// By first and second moments, as in the paper.
    #[default]
    Moments,
    /// By a Gaussian kernel against a bank of teacher features; its width is the median distance in the bank.
    Rbf,
    /// By a cubic polynomial kernel against a bank of teacher features.
    Poly,
}

#[derive(Debug, Clone, Copy)]
enum Kappa {
    Rbf { width: f64 },
    Poly,
}

/// A bank of teacher features with everything that the estimate needs of it.
#[derive(Debug, Clone)]
pub struct Bank<B: Backend> {
    /// The features, `[images, features]`. For a Gaussian kernel their mean is subtracted, which changes no distance
    /// and loses fewer digits.
    features: Tensor<B, 2>,
    mean: Option<Tensor<B, 2>>,
    kappa: Kappa,
    /// The mean of kappa over all pairs of different images of the bank.
    own: f64,
}

impl<B: Backend> Bank<B> {
    /// A bank of the features `[images, features]` of at least 2 images. `None` for [`Mmd::Moments`], which needs no
    /// bank.
    pub fn new(mmd: Mmd, features: Tensor<B, 2>) -> Option<Self> {
        let [images, _] = features.dims();
        if images < 2 {
            return None;
        }
        let bank = match mmd {
            Mmd::Moments => return None,
            Mmd::Poly => Self { features, mean: None, kappa: Kappa::Poly, own: 0.0 },
            Mmd::Rbf => {
                let mean = features.clone().mean_dim(0);
                let features = features - mean.clone();
                let width = median_of_pairs(squared_distances(features.clone(), features.clone()));
                Self { features, mean: Some(mean), kappa: Kappa::Rbf { width }, own: 0.0 }
            }
        };
        let own = bank.kappa.between(bank.features.clone(), bank.features.clone());
        let values: Vec<f64> = own.into_data().iter().collect();
        let pairs = values.iter().enumerate().filter(|(at, _)| at / images != at % images);
        let own = pairs.map(|(_, value)| value).sum::<f64>() / (images * (images - 1)) as f64;
        Some(Self { own, ..bank })
    }

    /// The estimate of MMD^2 for the features `[batch, features]` of at least 2 student images.
    pub fn loss(&self, features: Tensor<B, 2>) -> Tensor<B, 1> {
        let [n, _] = features.dims();
        let [m, _] = self.features.dims();
        let x = match &self.mean {
            Some(mean) => features - mean.clone(),
            None => features,
        };
        let others = Tensor::<B, 2>::eye(n, &x.device()).neg().add_scalar(1.0);
        let own = (self.kappa.between(x.clone(), x.clone()) * others).sum().div_scalar((n * (n - 1).max(1)) as f64);
        let across = self.kappa.between(x, self.features.clone()).sum().div_scalar((n * m) as f64 / 2.0);
        (own - across).add_scalar(self.own)
    }
}

impl Kappa {
    /// The kernel between all rows of `[n, d]` and `[m, d]`, as `[n, m]`.
    fn between<B: Backend>(self, a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Rbf { width } => squared_distances(a, b).div_scalar(-width).exp(),
            Self::Poly => {
                let [_, d] = a.dims();
                let y = a.matmul(b.transpose()).div_scalar(d as f64).add_scalar(1.0);
                y.clone() * y.clone() * y
            }
        }
    }
}

/// The squared distances `|a_i - b_j|^2`, as `[n, m]`.
fn squared_distances<B: Backend>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    let square = |x: &Tensor<B, 2>| (x.clone() * x.clone()).sum_dim(1);
    let (own, other) = (square(&a), square(&b).transpose());
    (own + other - a.matmul(b.transpose()).mul_scalar(2.0)).clamp_min(0.0)
}

/// The median of the entries above the diagonal of `[n, n]`, or 1 if the median is 0 (a teacher that always draws the
/// same image).
fn median_of_pairs<B: Backend>(distances: Tensor<B, 2>) -> f64 {
    let [n, _] = distances.dims();
    let values: Vec<f64> = distances.into_data().iter().collect();
    let pairs = values.into_iter().enumerate().filter(|(at, _)| at / n < at % n);
    let mut pairs: Vec<f64> = pairs.map(|(_, value)| value).collect();
    let middle = pairs.len() / 2;
    let (_, median, _) = pairs.select_nth_unstable_by(middle, f64::total_cmp);
    if *median > 0.0 { *median } else { 1.0 }
}
