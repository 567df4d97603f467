//! The description of one image, as C gives it.

use core::ffi::c_void;
use core::slice;

use nickeldime_core::generator::{self as core_sample, Join, Latent, Noise};
use nickeldime_core::pack::{self, Pack};

use crate::status::Status;

/// 1.0 in Q14: psi that leaves images as they are, or all the way to the other seed.
pub const ND_ONE: i16 = 16384;

/// Where an image comes from.
#[repr(C)]
pub enum LatentKind {
    /// `seed`.
    Seed = 0,
    /// Style mixing: `seed` for the layers before `amount`, `other_seed` for that layer and those after it.
    Mix = 1,
    /// Between `seed` and `other_seed`, at `amount` in Q14: 0 is the first, ND_ONE the second.
    Between = 2,
    /// `values` is z: `z_dim` numbers of type int16_t in Q12.
    Z = 3,
    /// `values` is w: `w_dim` numbers of type int32_t in Q16. psi has no effect.
    W = 4,
    /// `values` is a w for every layer: `num_ws * w_dim` numbers of type int32_t in Q16. psi has no effect.
    Layers = 5,
}

/// The kinds of noise that an image's layers can add.
#[repr(C)]
pub enum NoiseKind {
    /// The kind that the pack was made to be shown with.
    Default = 0,
    /// No noise.
    None = 1,
    /// The constant maps of the pack.
    Const = 2,
    /// Random noise, by `noise_seed`.
    Random = 3,
}

/// The description of one image. `nd_seed` fills one in.
#[repr(C)]
pub struct Sample {
    /// A number of nd_latent: which of the other fields count.
    pub latent: u32,
    /// A number of nd_noise.
    pub noise: u32,
    /// The seed, or the first of two.
    pub seed: u64,
    /// The second seed.
    pub other_seed: u64,
    /// The seed of random noise.
    pub noise_seed: u64,
    /// The numbers of z or w.
    pub values: *const c_void,
    /// The number of entries of the latent.
    pub count: usize,
    /// The layer of a mix, or the way to the second seed in Q14.
    pub amount: i16,
    /// The truncation psi in Q14: ND_ONE leaves an image as it is, 0 gives the mean image.
    pub psi: i16,
}

/// Describes the image of a seed: psi 1, and the noise that the pack was made to be shown with.
#[unsafe(no_mangle)]
pub extern "C" fn nd_seed(seed: u64) -> Sample {
    Sample {
        latent: LatentKind::Seed as u32,
        noise: NoiseKind::Default as u32,
        seed,
        other_seed: 0,
        noise_seed: seed,
        values: core::ptr::null(),
        count: 0,
        amount: 0,
        psi: ND_ONE,
    }
}

impl Sample {
    /// The description as the core takes it.
    ///
    /// # Safety
    /// `values` is null or has `count` readable numbers of the latent's type, which stay as they are for `'a`.
    pub(crate) unsafe fn checked<'a>(&self, pack: &Pack<'_>) -> Result<core_sample::Sample<'a>, Status> {
        const SEED: u32 = LatentKind::Seed as u32;
        const MIX: u32 = LatentKind::Mix as u32;
        const BETWEEN: u32 = LatentKind::Between as u32;
        const Z: u32 = LatentKind::Z as u32;
        const W: u32 = LatentKind::W as u32;
        const LAYERS: u32 = LatentKind::Layers as u32;
        let pair = |join| Latent::Pair { seeds: [self.seed, self.other_seed], join };
        // SAFETY: the caller's promise.
        let latent = unsafe {
            match self.latent {
                SEED => Latent::Seed(self.seed),
                MIX => pair(Join::Cut(u8::try_from(self.amount).map_err(|_| Status::Argument)?)),
                BETWEEN => pair(Join::Weight(self.amount)),
                Z => Latent::Z(self.numbers()?),
                W => Latent::W(self.numbers()?),
                LAYERS => Latent::Layers(self.numbers()?),
                _ => return Err(Status::Argument),
            }
        };
        Ok(core_sample::Sample { latent, psi: self.psi, noise: self.checked_noise(pack)? })
    }

    fn checked_noise(&self, pack: &Pack<'_>) -> Result<Noise, Status> {
        const DEFAULT: u32 = NoiseKind::Default as u32;
        const NONE: u32 = NoiseKind::None as u32;
        const CONST: u32 = NoiseKind::Const as u32;
        const RANDOM: u32 = NoiseKind::Random as u32;
        Ok(match (self.noise, pack.noise_default()) {
            (NONE, _) | (DEFAULT, pack::NoiseKind::None) => Noise::None,
            (CONST, _) | (DEFAULT, pack::NoiseKind::Const) => Noise::Const,
            (RANDOM, _) | (DEFAULT, pack::NoiseKind::Random) => Noise::Random(self.noise_seed),
            _ => return Err(Status::Argument),
        })
    }

    /// # Safety
    /// The caller keeps the promises of [`checked`](Self::checked).
    unsafe fn numbers<'a, T>(&self) -> Result<&'a [T], Status> {
        let values: *const T = self.values.cast();
        // No model wants as many: the length is compared with the model's before a number is read.
        if values.is_null() || !values.is_aligned() || self.count > isize::MAX as usize / size_of::<T>() {
            return Err(Status::Argument);
        }
        // SAFETY: the caller's promise.
        Ok(unsafe { slice::from_raw_parts(values, self.count) })
    }
}
