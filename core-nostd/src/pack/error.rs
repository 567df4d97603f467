//! The reasons why bytes are refused as a pack.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why bytes are not a pack that this code can run.
///
/// The link encodes a variant by its position: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes do not begin at a multiple of 4 in memory.
    Misaligned,
    /// There are fewer bytes than the prefix or the stated length needs.
    Truncated,
    /// There are more bytes than the stated length.
    TrailingBytes,
    /// The first bytes are not a pack's.
    NotAPack,
    /// A pack of a format version that this code does not read.
    UnsupportedVersion(u16),
    /// The SHA-256 does not agree with the contents.
    HashMismatch,
    /// The header does not decode.
    Header,
    /// A size in the header is 0, above its limit, or does not agree with its neighbours.
    Architecture,
    /// An array lies outside the pack or is not aligned.
    Layout,
    /// A scale, shift or limit in the header or in a table is out of its range.
    Scale,
    /// An accumulator could overflow.
    Overflow,
    /// The workspace would be larger than this machine can address.
    TooLarge,
    /// The pack has 4-bit weights, which the format reserves a number for and this code cannot run.
    FourBitWeights,
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Misaligned => "the pack does not begin at a multiple of 4 in memory",
            Self::Truncated => "the pack is truncated",
            Self::TrailingBytes => "there are bytes after the pack's end",
            Self::NotAPack => "not a nickeldime pack",
            Self::UnsupportedVersion(version) => {
                return write!(
                    f,
                    "pack format version {version} is not supported (this code reads version {})",
                    super::FORMAT_VERSION
                );
            }
            Self::HashMismatch => "the pack is damaged: its SHA-256 does not agree",
            Self::Header => "the pack's header does not decode",
            Self::Architecture => "the pack's header describes no generator that this code runs",
            Self::Layout => "an array of the pack lies outside it or is not aligned",
            Self::Scale => "a scale, shift or limit of the pack is out of range",
            Self::Overflow => "an accumulator of the pack could overflow",
            Self::TooLarge => "the pack needs a larger workspace than this machine can address",
            Self::FourBitWeights => "the pack has 4-bit weights, which this version cannot run",
        };
        f.write_str(text)
    }
}

impl core::error::Error for PackError {}
