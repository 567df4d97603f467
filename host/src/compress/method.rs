//! The parts of the method, and the combinations that are compared.

use serde::{Deserialize, Serialize};

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
}

/// The teacher's share in an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Distribution matching in the embeddings (`method.md` section 3).
    pub dime: bool,
    /// The teacher's critic and the matching of features (section 4).
    pub nickel: bool,
    /// The distance of the images themselves.
    pub l1: bool,
}

impl Method {
    /// What it consists of, beside the student and its critic.
    pub fn parts(self) -> Parts {
        let parts = |dime, nickel, l1| Parts { dime, nickel, l1 };
        match self {
            Self::NickelDime => parts(true, true, false),
            Self::Dime => parts(true, false, false),
            Self::Nickel => parts(false, true, false),
            Self::Gan => parts(false, false, false),
            Self::L1 => parts(false, false, true),
        }
    }
}
