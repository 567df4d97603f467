//! From a sample's description to RGB rows: the one entry to the engine.

use core::fmt;
use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::dense::BlockFloat;
use crate::latent;
use crate::mapping;
use crate::number::{normalise, saturate_i32, shift_round};
use crate::pack::Pack;
use crate::pack::layout::W_FRACTION;
use crate::synthesis::image::synthesise;
use crate::synthesis::style::{self, Ws};
use crate::synthesis::workspace::{Vectors, Workspace};

pub use crate::synthesis::workspace::Ram;

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent<'a> {
    /// z from the counter-based generator of [`latent::gaussian`].
    Seed(u64),
    /// z itself, Q12 (`value / 4096`), `z_dim` values.
    Z(&'a [i16]),
    /// w itself, Q16 (`value / 65536`), `w_dim` values, the same for all layers. Used as it is: truncation belongs to the
    /// mapping, and psi does not count.
    W(&'a [i32]),
    /// Two seeds, each mapped and truncated on its own.
    Pair {
        /// Of the first and the second latent.
        seeds: [u64; 2],
        /// What is made of the two.
        join: Join,
    },
}

/// What becomes of two ws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// Style mixing: the first for the layers below this one, the second from it on. Layers are the entries of ws
    /// ([`Pack::num_ws`]): 0 is b4.conv1, 1 is b8.conv0 and b4's toRGB, ...
    Cut(u8),
    /// Interpolation: `first + (second - first) * weight`, Q14: 0 is the first, 16384 the second, and beyond them it goes
    /// on.
    Weight(i16),
}

/// Which noise is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noise {
    /// None.
    None,
    /// The constant maps stored in the pack.
    Const,
    /// N(0, 1) from the counter-based generator of [`latent::noise`] with this seed.
    Random(u64),
}

/// One image's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Where it comes from.
    pub latent: Latent<'a>,
    /// Truncation psi, Q14: 16384 is 1.0, the range is -2.0 up to just below 2.0.
    pub psi: i16,
    /// Which noise is added.
    pub noise: Noise,
}

/// Why no image, or not all of it, was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GenerateError {
    /// z or w has another length than the pack's.
    LatentLength,
    /// The workspace has fewer elements than [`Pack::workspace_len`].
    WorkspaceTooSmall,
    /// Constant noise was asked for and is not in the pack.
    NoConstNoise,
    /// The row callback broke off.
    Stopped,
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatentLength => "the latent's length is not the model's",
            Self::WorkspaceTooSmall => "the workspace is too small for the model",
            Self::NoConstNoise => "the pack has no constant noise",
            Self::Stopped => "stopped by the receiver of the rows",
        })
    }
}

impl core::error::Error for GenerateError {}

/// Makes one image: calls `row(y, rgb)` with the `3 * width` bytes of every row, from the top (y = 0), and stops early when
/// it breaks.
///
/// The result depends on the pack and the sample alone, never on the machine or on what `workspace` held before.
/// `workspace` has at least [`Pack::workspace_len`] elements.
///
/// # Errors
/// Every [`GenerateError`]; before the first row for all but [`GenerateError::Stopped`].
#[inline(never)]
pub fn generate(
    pack: &Pack<'_>,
    sample: &Sample<'_>,
    workspace: &mut [i32],
    row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
) -> Result<(), GenerateError> {
    if sample.noise == Noise::Const && !pack.has_const_noise() {
        return Err(GenerateError::NoConstNoise);
    }
    check_length(&sample.latent, pack)?;
    let Workspace { mut kept, shared } = Workspace::new(pack.plan(), workspace)?;
    let layers = {
        let mut ws = SampleWs::new(pack, sample, Vectors::new(pack.plan(), shared)?);
        style::layers(pack, &mut ws, &mut kept)?
    };
    debug_assert_eq!(kept.left(), 0, "the plan is exact");
    synthesise(pack, &layers, sample.noise, shared, row)
}

fn check_length(latent: &Latent<'_>, pack: &Pack<'_>) -> Result<(), GenerateError> {
    let fits = match latent {
        Latent::Seed(_) | Latent::Pair { .. } => true,
        Latent::Z(z) => z.len() == pack.z_dim(),
        Latent::W(w) => w.len() == pack.w_dim(),
    };
    if fits { Ok(()) } else { Err(GenerateError::LatentLength) }
}

/// The ws of a sample. With style mixing the second w takes the first one's place at the cut.
struct SampleWs<'a, 'w> {
    pack: &'a Pack<'a>,
    psi: i16,
    vectors: Vectors<'w>,
    exponent: i32,
    /// The cut and the second seed, until the cut is passed.
    then: Option<(usize, u64)>,
}

impl<'a, 'w> SampleWs<'a, 'w> {
    fn new(pack: &'a Pack<'a>, sample: &Sample<'_>, vectors: Vectors<'w>) -> Self {
        let mut ws = Self { pack, psi: sample.psi, vectors, exponent: 0, then: None };
        let w_dim = pack.w_dim();
        match sample.latent {
            Latent::Seed(seed) => ws.map_seed(seed),
            Latent::Z(z) => {
                ws.vectors.mantissas[..pack.z_dim()].copy_from_slice(z);
                ws.map();
            }
            Latent::W(w) => ws.vectors.values[..w_dim].copy_from_slice(w),
            Latent::Pair { seeds: [first, second], join: Join::Cut(cut) } => {
                ws.map_seed(first);
                ws.then = Some((cut.into(), second));
            }
            Latent::Pair { seeds: [first, second], join: Join::Weight(weight) } => {
                ws.map_seed(first);
                ws.vectors.first.copy_from_slice(&ws.vectors.values[..w_dim]);
                ws.map_seed(second);
                let Vectors { values, first, .. } = &mut ws.vectors;
                for (w, &first) in values.iter_mut().zip(&**first) {
                    let offset = (*w as i64 - first as i64) * weight as i64;
                    *w = saturate_i32(first as i64 + shift_round(offset, 14));
                }
            }
        }
        ws.normalise();
        ws
    }

    fn map_seed(&mut self, seed: u64) {
        let z = &mut self.vectors.mantissas[..self.pack.z_dim()];
        for (index, z) in (0..).zip(z) {
            *z = latent::gaussian(seed, index);
        }
        self.map();
    }

    /// From z in the mantissas to w in the values.
    fn map(&mut self) {
        let Vectors { values, mantissas, .. } = &mut self.vectors;
        mapping::map(self.pack, values, mantissas);
        mapping::truncate(self.pack, self.psi, &mut values[..self.pack.w_dim()]);
    }

    fn normalise(&mut self) {
        let Vectors { values, w, .. } = &mut self.vectors;
        self.exponent = normalise(&values[..w.len()], w) - i32::from(W_FRACTION);
    }
}

impl Ws for SampleWs<'_, '_> {
    fn at(&mut self, index: usize) -> (BlockFloat<'_>, &mut [i32]) {
        if let Some((cut, second)) = self.then
            && index >= cut
        {
            self.then = None;
            self.map_seed(second);
            self.normalise();
        }
        let Vectors { values, w, .. } = &mut self.vectors;
        (BlockFloat { mantissas: w, exponent: self.exponent }, values)
    }
}
