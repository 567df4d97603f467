//! Computes several metrics of the same two sets.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Feature, FewSamples, MetricError, NEIGHBOURS, Subsets, fid, kid, precision_recall};

/// The choice of metrics and their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// True to compute the Fréchet distance (FID).
    pub fid: bool,
    /// True to compute the kernel distance (KID).
    pub kid: bool,
    /// True to compute precision and recall.
    pub pr: bool,
    /// The behaviour of FID with few images.
    pub few: FewSamples,
    /// The seed of KID's random subsets.
    pub seed: u64,
}

/// The values of the metrics; `None` for a metric that was not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The Fréchet distance (FID): at least 0, and 0 for equal distributions.
    pub fid: Option<f64>,
    /// The kernel distance (KID). The estimate is unbiased: about 0 for equal distributions, and possibly below 0.
    pub kid: Option<f64>,
    /// Precision: the share of generated images that lie on the manifold of the real ones, in [0, 1].
    pub precision: Option<f64>,
    /// Recall: the share of real images that lie on the manifold of the generated ones, in [0, 1].
    pub recall: Option<f64>,
}

/// Computes the metrics of `generated` against `real`, each `[samples, features]`.
///
/// # Errors
/// The first metric that has no value, and why.
pub fn evaluate<T: Feature>(
    generated: ArrayView2<T>,
    real: ArrayView2<T>,
    wanted: &Wanted,
) -> Result<Metrics, MetricError> {
    let mut metrics = Metrics::default();
    if wanted.fid {
        metrics.fid = Some(fid(real, generated, wanted.few)?);
    }
    if wanted.kid {
        let subsets = Subsets { seed: wanted.seed, ..Subsets::default() };
        metrics.kid = Some(kid(real, generated, &subsets)?);
    }
    if wanted.pr {
        let shares = precision_recall(real, generated, NEIGHBOURS)?;
        (metrics.precision, metrics.recall) = (Some(shares.precision), Some(shares.recall));
    }
    Ok(metrics)
}
