//! How a user names an embedder: `small=FILE:5`.

use std::{path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// Kinds of embedders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`super::small::Small`].
    Small,
}

impl Kind {
    /// Whether the paper uses it.
    pub fn is_of_the_paper(self) -> bool {
        match self {
            Self::Small => false,
        }
    }

    /// The weight of its moments unless told otherwise.
    fn default_weight(self) -> f32 {
        match self {
            Self::Small => 5.0,
        }
    }
}

/// An embedder's kind, file and weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbedSpec {
    /// What network the file holds.
    pub kind: Kind,
    /// Its weights.
    pub path: PathBuf,
    /// The weight of both moments in the generator's loss.
    pub weight: f32,
}

impl std::fmt::Display for EmbedSpec {
    /// For the first lines of a run.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).display();
        let paper = if self.kind.is_of_the_paper() { "" } else { " (not one of the paper's)" };
        write!(f, "{name}{paper}, weight {}", self.weight)
    }
}

impl FromStr for EmbedSpec {
    type Err = String;

    /// `KIND=FILE` or `KIND=FILE:WEIGHT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, file) =
            text.split_once('=').ok_or_else(|| format!("{text:?}: write small=FILE or small=FILE:WEIGHT"))?;
        let kind = match kind {
            "small" => Kind::Small,
            other => return Err(format!("unknown embedder {other:?}; known: small")),
        };
        let weighted = file.rsplit_once(':').and_then(|(path, weight)| Some((path, weight.parse::<f32>().ok()?)));
        let (path, weight) = weighted.unwrap_or((file, kind.default_weight()));
        if path.is_empty() || !(weight >= 0.0 && weight.is_finite()) {
            return Err(format!("{text:?}: a file and a weight of 0 or more are needed"));
        }
        Ok(Self { kind, path: path.into(), weight })
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
    fn what_is_not_an_embedder_is_refused() {
        for text in ["", "e.safetensors", "dyno=f", "small=", "small=f:-1", "small=f:inf"] {
            assert!(text.parse::<EmbedSpec>().is_err(), "{text}");
        }
    }
}
