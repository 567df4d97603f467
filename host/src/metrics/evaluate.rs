//! Several metrics of the same two sets.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Feature, FewSamples, MetricError, NEIGHBOURS, Subsets, fid, kid, precision_recall};

/// Which metrics, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The Fréchet distance.
    pub fid: bool,
    /// The kernel distance.
    pub kid: bool,
    /// Precision and recall.
    pub pr: bool,
    /// What FID does with few images.
    pub few: FewSamples,
    /// Of KID's random subsets.
    pub seed: u64,
}

/// Values; none for what was not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Fréchet distance, 0 or more; 0 for equal distributions.
    pub fid: Option<f64>,
    /// Kernel distance, unbiased: about 0 for equal distributions.
    pub kid: Option<f64>,
    /// Share of the generated images that lie among the real ones, in [0, 1].
    pub precision: Option<f64>,
    /// Share of the real images that lie among the generated ones, in [0, 1].
    pub recall: Option<f64>,
}

/// The metrics of `generated` against `real`, `[samples, features]` each.
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
