//! From a sample's description to RGB rows: the one entry to the engine.

use core::fmt;
use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::latent;
use crate::mapping::{self, Buffers};
use crate::number::normalise;
use crate::pack::Pack;
use crate::pack::layout::W_FRACTION;
use crate::synthesis::image::synthesise;
use crate::synthesis::workspace::Workspace;

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
pub fn generate(
    pack: &Pack<'_>,
    sample: &Sample<'_>,
    workspace: &mut [i32],
    row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
) -> Result<(), GenerateError> {
    if sample.noise == Noise::Const && !pack.has_const_noise() {
        return Err(GenerateError::NoConstNoise);
    }
    let workspace = Workspace::new(pack.plan(), workspace)?;
    let w_dim = pack.w_dim();
    if let Latent::W(w) = sample.latent {
        check_length(w.len(), w_dim)?;
        workspace.values[..w_dim].copy_from_slice(w);
    } else {
        let z = &mut workspace.mantissas[..pack.z_dim()];
        match sample.latent {
            Latent::Z(given) => {
                check_length(given.len(), z.len())?;
                z.copy_from_slice(given);
            }
            Latent::Seed(seed) => {
                for (index, z) in (0..).zip(z.iter_mut()) {
                    *z = latent::gaussian(seed, index);
                }
            }
            Latent::W(_) => {}
        }
        mapping::map(pack, &mut Buffers { values: workspace.values, mantissas: workspace.mantissas });
        mapping::truncate(pack, sample.psi, &mut workspace.values[..w_dim]);
    }
    let exponent = normalise(&workspace.values[..w_dim], &mut workspace.w[..w_dim]) - i32::from(W_FRACTION);
    synthesise(pack, exponent, sample.noise, workspace, row)
}

fn check_length(given: usize, wanted: usize) -> Result<(), GenerateError> {
    if given == wanted { Ok(()) } else { Err(GenerateError::LatentLength) }
}
