//! The notation in which a user names an embedder: `dino=FILE`, `small=FILE:5`, `clip=FILE:15:10`.

use std::{path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// The kinds of embedders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The small in-domain network, [`super::small::Small`].
    Small,
    /// DINO's [`super::resnet50::ResNet50`].
    Dino,
    /// CLIP's image tower, [`super::clip_rn50::ClipRn50`].
    Clip,
    /// torchvision's [`super::resnet50::ResNet50`], or another in its layout.
    Resnet50,
    /// FID's network, [`super::inception::Inception`].
    Inception,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Dino, Self::Clip, Self::Small, Self::Resnet50, Self::Inception];

    /// The kind's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Dino => "dino",
            Self::Clip => "clip",
            Self::Resnet50 => "resnet50",
            Self::Inception => "inception",
        }
    }

    /// True if the paper matches distributions in this embedding.
    pub fn is_of_the_paper(self) -> bool {
        matches!(self, Self::Dino | Self::Clip)
    }

    /// The number of features of an image.
    pub fn features(self) -> usize {
        match self {
            Self::Small => 704,
            Self::Clip => 1024,
            Self::Dino | Self::Resnet50 | Self::Inception => 2048,
        }
    }

    /// The default weight of the moments: the paper's weight, and for torchvision's ResNet-50 that of DINO's.
    fn default_weight(self) -> f32 {
        match self {
            Self::Dino | Self::Resnet50 => 20.0,
            Self::Clip => 15.0,
            Self::Small | Self::Inception => 5.0,
        }
    }
}

/// The weights of the two moments of one embedding in the generator's loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentWeights {
    /// The weight of the first moments.
    pub first: f32,
    /// The weight of the second moments.
    pub second: f32,
}

/// An embedder's kind, its file, and the weights of its moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbedSpec {
    /// The network that the file holds.
    pub kind: Kind,
    /// The file of the network's weights.
    pub path: PathBuf,
    /// The weight of the first moments in the generator's loss.
    pub weight: f32,
    /// The weight of the second moments; `None` means the same weight as for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_weight: Option<f32>,
}

impl EmbedSpec {
    /// An embedder with the default weights of its moments.
    pub fn new(kind: Kind, path: PathBuf) -> Self {
        Self { kind, path, weight: kind.default_weight(), second_weight: None }
    }

    /// The embedder that a run trains on its own images and keeps in this file.
    pub fn own(path: PathBuf) -> Self {
        Self::new(Kind::Small, path)
    }

    /// The weights of both moments.
    pub fn weights(&self) -> MomentWeights {
        MomentWeights { first: self.weight, second: self.second_weight.unwrap_or(self.weight) }
    }
}

impl std::fmt::Display for EmbedSpec {
    /// A description for the first lines of a run.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.name();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).display();
        let paper = if self.kind.is_of_the_paper() { "one of the paper's" } else { "not one of the paper's" };
        let MomentWeights { first, second } = self.weights();
        write!(f, "{kind} {name} ({paper}), weight {first}")?;
        if second != first { write!(f, " for first and {second} for second moments") } else { Ok(()) }
    }
}

/// A sentence that says whether these embeddings are the paper's.
pub fn compared_with_the_paper(specs: &[EmbedSpec]) -> &'static str {
    let has = |kind| specs.iter().any(|spec| spec.kind == kind);
    match (has(Kind::Dino) && has(Kind::Clip), specs.iter().all(|spec| spec.kind.is_of_the_paper())) {
        _ if specs.is_empty() => "the paper matches distributions in DINO and CLIP ResNet-50",
        (true, true) => "embeddings as in the paper: DINO and CLIP ResNet-50",
        (true, false) => "embeddings: the paper's (DINO and CLIP ResNet-50) and others",
        (false, _) => "embeddings other than the paper's (DINO and CLIP ResNet-50)",
    }
}

impl FromStr for EmbedSpec {
    type Err = String;

    /// Parses `KIND=FILE`, `KIND=FILE:WEIGHT` or `KIND=FILE:FIRST:SECOND`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, file) =
            text.split_once('=').ok_or_else(|| format!("{text:?}: write KIND=FILE or KIND=FILE:WEIGHT"))?;
        let found = Kind::ALL.into_iter().find(|known| known.name() == kind);
        let known = Kind::ALL.map(Kind::name).join(", ");
        let kind = found.ok_or_else(|| format!("unknown embedder {kind:?}; known: {known}"))?;
        let weighted = |file: &str| -> Option<(String, f32)> {
            let (path, weight) = file.rsplit_once(':')?;
            Some((path.into(), weight.parse().ok()?))
        };
        // At most two numbers are taken from the end, because a path may contain colons.
        let (path, weight, second) = match weighted(file) {
            None => (file.into(), kind.default_weight(), None),
            Some((path, last)) => match weighted(&path) {
                None => (path, last, None),
                Some((path, first)) => (path, first, Some(last)),
            },
        };
        let possible = |weight: f32| weight >= 0.0 && weight.is_finite();
        if path.is_empty() || !possible(weight) || !second.is_none_or(possible) {
            return Err(format!("{text:?}: a file and weights of 0 or more are needed"));
        }
        Ok(Self { kind, path: path.into(), weight, second_weight: second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_may_follow_the_file() {
        let spec: EmbedSpec = "small=a:b/e.safetensors:2.5".parse().unwrap();
        assert_eq!(spec.path, PathBuf::from("a:b/e.safetensors"));
        assert_eq!(spec.weight, 2.5);
        let spec: EmbedSpec = "small=e.safetensors".parse().unwrap();
        assert_eq!(spec.weight, 5.0);
    }

    #[test]
    fn both_moments_have_the_papers_weights_unless_told_otherwise() {
        let weights = |text: &str| {
            let MomentWeights { first, second } = text.parse::<EmbedSpec>().unwrap().weights();
            (first, second)
        };
        assert_eq!(weights("dino=f.pth"), (20.0, 20.0));
        assert_eq!(weights("clip=RN50.pt"), (15.0, 15.0));
        assert_eq!(weights("dino=f.pth:7"), (7.0, 7.0));
        assert_eq!(weights("dino=f.pth:7:0"), (7.0, 0.0));
        let spec: EmbedSpec = "dino=a/f.pth:7:0".parse().unwrap();
        assert_eq!(spec.to_string(), "dino f.pth (one of the paper's), weight 7 for first and 0 for second moments");
    }

    #[test]
    fn what_is_not_an_embedder_is_refused() {
        for text in ["", "e.safetensors", "dyno=f", "small=", "small=f:-1", "small=f:inf", "dino=f:1:-1"] {
            assert!(text.parse::<EmbedSpec>().is_err(), "{text}");
        }
    }
}
