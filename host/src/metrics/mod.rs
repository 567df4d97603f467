//! Compares two sets of images: FID, KID, precision and recall (`docs/method.md` section 6), in the features of a named
//! extractor.
//!
//! [`images`] draws or reads them, [`extractor`] turns them into features (`[images, features]`), which [`cache`] keeps;
//! [`evaluate`] compares two sets of features. The formulas are those of StyleGAN2-ADA's `fid50k_full`, `kid50k_full` and
//! `pr50k3_full`; the numbers are comparable with published ones only in Inception's features.

pub mod cache;
mod error;
mod evaluate;
pub mod extractor;
mod fid;
pub mod images;
mod kid;
mod matrix;
mod precision_recall;
#[cfg(test)]
mod testing;

pub use error::MetricError;
pub use evaluate::{Metrics, Wanted, evaluate};
pub use fid::{FewSamples, Gaussian, fid, fid_of_few};
pub use kid::{Subsets, kid, kid_of_all};
pub use matrix::Feature;
pub use precision_recall::{NEIGHBOURS, PrecisionRecall, precision_recall, radii};
