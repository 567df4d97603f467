//! The methods that can be compared, and the parts of each.

use serde::{Deserialize, Serialize};

/// The criterion that scores channels for pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The gradient of a loss with salt-and-pepper noise on the content (CAGC).
    ContentAware,
    /// The mean absolute value of the weights.
    Magnitude,
    /// The size of the styles of the layer that reads a channel (GAN Slimming).
    Style,
    /// How much a channel's gradient differs between directions in w (DCP-GAN).
    Diversity,
    /// Random scores, as a control.
    Random,
}

/// The weights that the student's critic begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CriticStart {
    /// Random weights.
    Fresh,
    /// The teacher's critic.
    Teacher,
}

/// The method of compression, which decides what the student learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Both NICKEL and DiME.
    NickelDime,
    /// The student's critic, and distribution matching.
    Dime,
    /// Both critics; the teacher's generator also teaches the student's critic.
    Nickel,
    /// The student's critic only: plain fine-tuning.
    Gan,
    /// The student's critic, and the pixel distance to the teacher's image.
    L1,
    /// GAN Slimming: a penalty pushes styles towards 0 before pruning; then the student's critic and the perceptual
    /// distance.
    Gs,
    /// Content-aware GAN compression: the teacher's critic, pixels and the perceptual distance.
    Cagc,
    /// CAGC, and a bound on the information that the teacher's and the student's images share, from an energy network.
    Itgc,
    /// CAGC's terms and the relations between samples; a fresh synthesis network after the teacher's mapping network.
    Stylekd,
    /// StyleKD's terms, with a start pruned by how much gradients differ between directions in w.
    Dcp,
}

/// The parts of a method in which the teacher takes part in an iteration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MethodParts {
    /// Distribution matching in the embeddings (`docs/method.md` section 3).
    pub dime: bool,
    /// The teacher's critic and the feature matching (`docs/method.md` section 4).
    pub nickel: bool,
    /// The pixel distance of the images.
    pub l1: bool,
    /// The perceptual distance of the images (`docs/baselines.md` section 2).
    pub perceptual: bool,
    /// The relations between samples (`docs/baselines.md` section 6).
    pub relation: bool,
    /// The energy network (`docs/baselines.md` section 5).
    pub energy: bool,
}

impl MethodParts {
    /// True if a part compares the teacher's image of a latent with the student's.
    pub fn compares_images(self) -> bool {
        self.l1 || self.perceptual || self.relation || self.energy
    }
}

/// The origin of the student's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudentStart {
    /// The teacher without its pruned channels.
    Pruned,
    /// The teacher's mapping network, and a synthesis network of the pruned shape with random weights.
    FreshSynthesis,
}

impl Method {
    /// The parts of an iteration in addition to the student and its critic.
    pub fn parts(self) -> MethodParts {
        let alone = MethodParts::default();
        let cagc = MethodParts { l1: true, perceptual: true, ..alone };
        match self {
            Self::NickelDime => MethodParts { dime: true, nickel: true, ..alone },
            Self::Dime => MethodParts { dime: true, ..alone },
            Self::Nickel => MethodParts { nickel: true, ..alone },
            Self::Gan => alone,
            Self::L1 => MethodParts { l1: true, ..alone },
            Self::Gs => MethodParts { perceptual: true, ..alone },
            Self::Cagc => cagc,
            Self::Itgc => MethodParts { energy: true, ..cagc },
            Self::Stylekd | Self::Dcp => MethodParts { relation: true, ..cagc },
        }
    }

    /// The criterion of the method's authors for scoring channels.
    pub fn criterion(self) -> Criterion {
        match self {
            Self::Gs => Criterion::Style,
            Self::Dcp => Criterion::Diversity,
            _ => Criterion::ContentAware,
        }
    }

    /// The start of the critic that the method's authors use.
    pub fn critic_start(self) -> CriticStart {
        match self {
            Self::Gs | Self::Cagc | Self::Itgc => CriticStart::Teacher,
            _ => CriticStart::Fresh,
        }
    }

    /// The start of the student that the method's authors use.
    pub fn student_start(self) -> StudentStart {
        match self {
            Self::Stylekd => StudentStart::FreshSynthesis,
            _ => StudentStart::Pruned,
        }
    }

    /// One sentence for each part of the published method that this project replaces by something else.
    pub fn substitutions(self, embedding: &str, masked: bool) -> Vec<String> {
        let mut all = Vec::new();
        if self.parts().perceptual {
            let reference = if self == Self::Gs { "VGG16's features and Gram matrices" } else { "LPIPS-VGG" };
            all.push(format!("perceptual distance: {embedding}, not {reference}"));
            if self != Self::Gs {
                let mask = if masked { "one mask for all images" } else { "whole image" };
                all.push(format!("content mask: {mask} (no face parser)"));
            }
        }
        all
    }
}
