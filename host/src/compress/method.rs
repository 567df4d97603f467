//! The parts of the method, and the combinations that are compared.

use serde::{Deserialize, Serialize};

/// The criterion that scores channels for pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The gradient of a loss with salt-and-pepper noise on the content (CAGC).
    ContentAware,
    /// The mean absolute value of the weights.
    Magnitude,
    /// By the size of the styles that read a channel (GAN Slimming).
    Style,
    /// By how much a channel's gradient differs between directions in w (DCP-GAN).
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

/// What the student learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Everything.
    NickelDime,
    /// Its own critic and distribution matching.
    Dime,
    /// Both critics, the teacher generator teaching the student's.
    Nickel,
    /// Its own critic alone: plain fine-tuning.
    Gan,
    /// Its own critic, and the teacher's output pixel by pixel.
    L1,
    /// GAN Slimming: styles pressed towards 0 before pruning, then its own critic and the perceptual distance.
    Gs,
    /// Content-aware GAN compression: the teacher's critic, pixels and the perceptual distance.
    Cagc,
    /// CAGC and a bound on the information that the teacher's and the student's images share, by an energy network.
    Itgc,
    /// CAGC's terms and the relations between samples; a fresh synthesis network behind the teacher's mapping.
    Stylekd,
    /// StyleKD's terms from a start pruned by how much gradients differ between directions in w.
    Dcp,
}

/// The teacher's share in an iteration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MethodParts {
    /// Distribution matching in the embeddings (`method.md` section 3).
    pub dime: bool,
    /// The teacher's critic and the matching of features (section 4).
    pub nickel: bool,
    /// The distance of the images themselves.
    pub l1: bool,
    /// The perceptual distance of the images (`baselines.md` section 2).
    pub perceptual: bool,
    /// The relations between samples (`baselines.md` section 6).
    pub relation: bool,
    /// The energy network (`baselines.md` section 5).
    pub energy: bool,
}

impl MethodParts {
    /// A part compares the teacher's image of a latent with the student's.
    pub fn compares_images(self) -> bool {
        self.l1 || self.perceptual || self.relation || self.energy
    }
}

/// Where the student's weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudentStart {
    /// The teacher without its pruned channels.
    Pruned,
    /// The teacher's mapping, and a synthesis network of the pruned shape with random weights.
    FreshSynthesis,
}

impl Method {
    /// The parts of an iteration beside the student and its critic.
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

    /// The criterion that the method's authors score channels by.
    pub fn criterion(self) -> Criterion {
        match self {
            Self::Gs => Criterion::Style,
            Self::Dcp => Criterion::Diversity,
            _ => Criterion::ContentAware,
        }
    }

    /// The critic that the method's authors begin with.
    pub fn critic_start(self) -> CriticStart {
        match self {
            Self::Gs | Self::Cagc | Self::Itgc => CriticStart::Teacher,
            _ => CriticStart::Fresh,
        }
    }

    /// The student that the method's authors begin with.
    pub fn student_start(self) -> StudentStart {
        match self {
            Self::Stylekd => StudentStart::FreshSynthesis,
            _ => StudentStart::Pruned,
        }
    }

    /// What stands in for parts of the published method that are not to be had here: one sentence each.
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
