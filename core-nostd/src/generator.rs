//! Makes an image from a sample's description, row by row. This is the only entry to the engine.

use core::ops::ControlFlow;

use crate::dense::BlockFloat;
use crate::latent;
use crate::mapping;
use crate::number::{normalise, saturate_i32, shift_round};
use crate::pack::Pack;
use crate::pack::layout::W_FRACTION;
use crate::synthesis::image::synthesise;
use crate::synthesis::style::{self, Ws};
use crate::synthesis::workspace::{Vectors, Workspace};

pub use crate::pack::Ram;
pub use crate::sample::{GenerateError, Join, Latent, Noise, Sample};

/// Makes one image. Calls `row(y, pixels)` with the `channels * width` bytes of every row, from the top (y = 0), and
/// stops early when `row` returns `Break`.
///
/// The result depends only on the pack and the sample, never on the machine or on what `workspace` held before.
/// `workspace` needs at least [`Pack::workspace_len`] elements.
///
/// # Errors
/// Every [`GenerateError`]. All except [`GenerateError::Stopped`] occur before the first row.
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
        Latent::Layers(ws) => ws.len() == pack.num_ws() * pack.w_dim(),
    };
    if fits { Ok(()) } else { Err(GenerateError::LatentLength) }
}

/// The ws of a sample, computed for one layer at a time.
struct SampleWs<'a, 'w> {
    pack: &'a Pack<'a>,
    psi: i16,
    vectors: Vectors<'w>,
    exponent: i32,
    later: Later<'a>,
}

/// How the w of later layers differs from that of the first.
enum Later<'a> {
    /// All layers have the same w.
    Same,
    /// Style mixing: layers from this index on have the w of this seed.
    Seed(usize, u64),
    /// The ws of the layers from this index on.
    Given(usize, &'a [i32]),
}

impl<'a, 'w> SampleWs<'a, 'w> {
    fn new(pack: &'a Pack<'a>, sample: &Sample<'a>, vectors: Vectors<'w>) -> Self {
        let mut ws = Self { pack, psi: sample.psi, vectors, exponent: 0, later: Later::Same };
        let w_dim = pack.w_dim();
        match sample.latent {
            Latent::Seed(seed) => ws.map_seed(seed),
            Latent::Z(z) => {
                ws.vectors.mantissas[..pack.z_dim()].copy_from_slice(z);
                ws.map();
            }
            Latent::W(w) => ws.vectors.values[..w_dim].copy_from_slice(w),
            Latent::Layers(all) => {
                ws.vectors.values[..w_dim].copy_from_slice(&all[..w_dim]);
                ws.later = Later::Given(1, &all[w_dim..]);
            }
            Latent::Pair { seeds: [first, second], join: Join::Cut(cut) } => {
                ws.map_seed(first);
                ws.later = Later::Seed(cut.into(), second);
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

    /// Runs the mapping network on the z in the mantissas, and leaves w in the values.
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
        match self.later {
            Later::Seed(cut, second) if index >= cut => {
                self.later = Later::Same;
                self.map_seed(second);
                self.normalise();
            }
            Later::Given(next, ws) if index >= next => {
                // Layers come in order; some come twice.
                let (w, later) = ws.split_at(self.pack.w_dim().min(ws.len()));
                self.later = Later::Given(next + 1, later);
                self.vectors.values[..w.len()].copy_from_slice(w);
                self.normalise();
            }
            _ => {}
        }
        let Vectors { values, w, .. } = &mut self.vectors;
        (BlockFloat { mantissas: w, exponent: self.exponent }, values)
    }
}
