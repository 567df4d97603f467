//! The synthesis network: computes rows of pixels from w.
//!
//! ```text
//!   style      styles and factors of all layers, from w
//!   upsample, conv, torgb     a row in, a row out
//!   block      the three of one resolution
//!   image      whose turn it is
//!   workspace  where it all lies, and how much that is
//! ```

mod block;
mod conv;
pub(crate) mod image;
mod noise;
pub(crate) mod style;
mod torgb;
mod upsample;
pub(crate) mod workspace;
