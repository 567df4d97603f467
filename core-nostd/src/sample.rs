//! The description of one image: its latent, truncation psi and noise. The generator, the link and the device share it.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The latent that an image is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent<'a> {
    /// A seed: z comes from the counter-based generator [`latent::gaussian`](crate::latent::gaussian).
    Seed(u64),
    /// z itself, in Q12 (`value / 4096`), `z_dim` values.
    Z(&'a [i16]),
    /// w itself, in Q16 (`value / 65536`), `w_dim` values; every layer gets the same w. Truncation is part of the mapping
    /// network, so psi has no effect.
    W(&'a [i32]),
    /// W+: a w for every layer, in Q16, `[num_ws][w_dim]`
    /// ([`Pack::num_ws`](crate::pack::Pack::num_ws)). psi has no effect.
    Layers(&'a [i32]),
    /// Two seeds, each mapped and truncated on its own, and then joined.
    Pair {
        /// The first and the second seed.
        seeds: [u64; 2],
        /// How the two ws are joined.
        join: Join,
    },
}

/// How two ws become the ws of an image.
///
/// The link encodes a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// Style mixing: layers before this one get the first w, this layer and those after it get the second. A layer is an
    /// index into ws (below [`Pack::num_ws`](crate::pack::Pack::num_ws)): 0 is b4.conv1, 1 is b8.conv0 and b4's toRGB, and
    /// so on.
    Cut(u8),
    /// Linear interpolation in Q14, `first + (second - first) * weight`: 0 gives the first w, 16384 the second; values
    /// outside that range extrapolate.
    Weight(i16),
}

/// The noise that the synthesis layers add.
///
/// The link encodes a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noise {
    /// No noise.
    None,
    /// The constant maps stored in the pack.
    Const,
    /// N(0, 1) from the counter-based generator [`latent::noise`](crate::latent::noise) with this seed.
    Random(u64),
}

/// The description of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The latent.
    pub latent: Latent<'a>,
    /// Truncation psi in Q14: 16384 is 1.0, and the range is -2.0 up to just below 2.0.
    pub psi: i16,
    /// The noise.
    pub noise: Noise,
}

/// Why no image was made, or only a part of one.
///
/// The link encodes a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GenerateError {
    /// z or w does not have the pack's length.
    LatentLength,
    /// The workspace has fewer elements than [`Pack::workspace_len`](crate::pack::Pack::workspace_len).
    WorkspaceTooSmall,
    /// The sample asks for constant noise, which the pack does not have.
    NoConstNoise,
    /// The row callback stopped the image.
    Stopped,
    /// The stored pack is not the one that was verified: the flash has changed.
    PackChanged,
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatentLength => "the latent's length is not the model's",
            Self::WorkspaceTooSmall => "the workspace is too small for the model",
            Self::NoConstNoise => "the pack has no constant noise",
            Self::Stopped => "stopped by the receiver of the rows",
            Self::PackChanged => {
                "the stored pack has changed since it was verified; restart the board, or send the pack again"
            }
        })
    }
}

impl core::error::Error for GenerateError {}
