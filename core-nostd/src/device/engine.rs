//! What turns a stored pack into pixels, as the device sees it.

use core::ops::ControlFlow;

use crate::generator::generate;
use crate::pack::{NoiseKind, Pack, PackError};
use crate::sample::{GenerateError, Sample};

/// What a device tells about its model, kept so that a hello need not read the pack again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The pack's name.
    pub name: heapless::String<64>,
    /// Width and height of its images.
    pub resolution: u16,
    /// Numbers in z.
    pub z_dim: u16,
    /// Numbers in w.
    pub w_dim: u16,
    /// The noise that it was made to be shown with.
    pub noise: NoiseKind,
    /// `i32`s of workspace that it needs.
    pub workspace_len: usize,
}

/// Opens packs and runs them. The one that ships is [`Integers`]; tests of the link put simpler ones in its place.
pub trait Engine {
    /// Checks a pack and says what is in it.
    ///
    /// # Errors
    /// Why it cannot be run.
    fn open(&self, pack: &[u8]) -> Result<Facts, PackError>;

    /// Makes one image; `row(y, rgb)` gets its rows from the top.
    ///
    /// # Errors
    /// Why there is none, or that `row` broke off.
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
    fn open(&self, pack: &[u8]) -> Result<Facts, PackError> {
        let pack = Pack::open(pack)?;
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
            z_dim: short(pack.z_dim()),
            w_dim: short(pack.w_dim()),
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
        // The bytes were verified when they were committed or mounted, and only the storage can change them since.
        let Ok(pack) = Pack::open(pack) else { return Err(GenerateError::Stopped) };
        generate(&pack, sample, workspace, row)
    }
}
