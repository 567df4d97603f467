//! The device's way from a stored pack to pixels.

use core::ops::ControlFlow;

use crate::generator::generate;
use crate::pack::{Hashed, NoiseKind, Pack, PackError};
use crate::sample::{GenerateError, Sample};

/// The facts about a model that a device needs between images, so that it need not read the pack again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The pack's name.
    pub name: heapless::String<64>,
    /// Width and height of its images.
    pub resolution: u16,
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub channels: u8,
    /// Numbers in z.
    pub z_dim: u16,
    /// Numbers in w.
    pub w_dim: u16,
    /// Layers that take a w.
    pub num_ws: u16,
    /// The noise that it was made to be shown with.
    pub noise: NoiseKind,
    /// Elements (`i32`) of the workspace that it needs.
    pub workspace_len: usize,
}

/// Opens packs and runs them. The one that ships is [`Integers`]; tests of the link put simpler ones in its place.
pub trait Engine {
    /// Verifies a pack and returns the facts about it. A device calls it once for every pack: at the start, or when an
    /// upload is committed.
    ///
    /// # Errors
    /// The reason for which the pack cannot be run.
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError>;

    /// Makes one image of a pack that [`open`](Self::open) has verified; `row(y, pixels)` gets its rows from the top. The
    /// flash may have changed since: whatever the bytes are now, there is no panic and no access outside the buffers.
    ///
    /// # Errors
    /// Every [`GenerateError`]; [`GenerateError::PackChanged`] when the bytes are no pack any more.
    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        workspace: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError>;
}

/// The generator of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integers;

impl Engine for Integers {
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError> {
        let pack = Pack::open_hashed(pack)?;
        let mut name = heapless::String::new();
        for letter in pack.name().chars() {
            if name.push(letter).is_err() {
                break;
            }
        }
        let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Ok(Facts {
            name,
            resolution: short(pack.resolution()),
            channels: pack.header().channels,
            z_dim: short(pack.z_dim()),
            w_dim: short(pack.w_dim()),
            num_ws: short(pack.num_ws()),
            noise: pack.noise_default(),
            workspace_len: pack.workspace_len(),
        })
    }

    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        workspace: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let Ok(pack) = Pack::reopen(pack) else { return Err(GenerateError::PackChanged) };
        generate(&pack, sample, workspace, row)
    }
}
