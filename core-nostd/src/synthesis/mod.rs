//! From w to rows of pixels.
//!
//! Every layer is a small machine that takes its input row by row and gives its output row by row; the order in which the
//! machines are driven, and how much of a feature map is kept between them, is [`image`]'s alone.

pub(crate) mod conv;
pub(crate) mod image;
pub(crate) mod noise;
pub(crate) mod style;
pub(crate) mod torgb;
pub(crate) mod upsample;
pub(crate) mod workspace;
