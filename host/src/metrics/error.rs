//! Errors of computing a metric.

/// The reason why a metric has no value. The text has the numbers, and says what to do if something can be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A set is too small for the metric.
    #[error("{metric} needs at least {need} images a set: one has {have}")]
    TooFew {
        /// The name of the metric.
        metric: &'static str,
        /// The smallest number of samples for which the metric has a value.
        need: usize,
        /// The number of samples in the smaller set.
        have: usize,
    },
    /// There are no more samples than features, so a covariance would be singular.
    #[error(
        "FID over {features} features needs more than {features} images a set, one has {have}: the covariance is \
         singular and the distance mostly noise; take more images, use KID, or ask for it all the same \
         (--few-samples)"
    )]
    Singular {
        /// The number of features of a sample.
        features: usize,
        /// The number of images in the smaller set.
        have: usize,
    },
    /// The two sets come from different extractors.
    #[error("features of different widths: {a} and {b}")]
    Widths {
        /// The number of features in the first set.
        a: usize,
        /// The number of features in the second set.
        b: usize,
    },
    /// A feature is NaN or infinite.
    #[error(
        "feature {feature} of image {image} is not finite: the model draws no images, or the extractor's file is damaged"
    )]
    NotFinite {
        /// The sample's index in the set, from 0.
        image: usize,
        /// The feature's index, from 0.
        feature: usize,
    },
    /// The features are finite, but the metric overflows.
    #[error("{metric} is beyond the largest number: the features are too large")]
    Overflow {
        /// The name of the metric.
        metric: &'static str,
    },
    /// The decomposition of a covariance did not converge.
    #[error("FID: the covariances could not be decomposed")]
    Decomposition,
}
