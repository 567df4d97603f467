//! Why a metric has no value.

/// Why a metric has no value: one line with the numbers, and what to do where there is something to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A set is too small for the metric.
    #[error("{metric} needs at least {need} images a set: one has {have}")]
    TooFew {
        /// The metric.
        metric: &'static str,
        /// The fewest that have a value.
        need: usize,
        /// In the smaller set.
        have: usize,
    },
    /// A covariance would be singular.
    #[error(
        "FID over {features} features needs more than {features} images a set, one has {have}: the covariance is \
         singular and the distance mostly noise; take more images, use KID, or ask for it all the same \
         (--few-samples)"
    )]
    Singular {
        /// Width of the features.
        features: usize,
        /// Images in the smaller set.
        have: usize,
    },
    /// The two sets come from different extractors.
    #[error("features of different widths: {a} and {b}")]
    Widths {
        /// Of the first set.
        a: usize,
        /// Of the second.
        b: usize,
    },
    /// A feature is NaN or infinite.
    #[error(
        "feature {feature} of image {image} is not finite: the model draws no images, or the extractor's file is damaged"
    )]
    NotFinite {
        /// From 0, in the order of the set.
        image: usize,
        /// From 0.
        feature: usize,
    },
    /// The features are finite, the metric is not.
    #[error("{metric} is beyond the largest number: the features are too large")]
    Overflow {
        /// The metric.
        metric: &'static str,
    },
    /// The decomposition of a covariance did not converge.
    #[error("FID: the covariances could not be decomposed")]
    Decomposition,
}
