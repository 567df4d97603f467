//! Measures whole images: the hash over many seeds, and the cost of one.

use core::fmt::Write;
use core::ops::ControlFlow;

use nickeldime_core::generator::{GenerateError, Latent, Noise, Sample, generate};
use nickeldime_core::pack::Pack;
use sha2::{Digest, Sha256};

use crate::machine::{self, Out, depth, now, paint, since};

/// Prints the SHA-256 of the images of the first seeds, with random noise.
pub fn hash(seeds: u32) -> Option<()> {
    let pack = Pack::open(machine::pack()?).ok()?;
    // SAFETY: this is the only call in this job.
    let workspace = unsafe { machine::workspace() }.get_mut(..pack.workspace_len())?;
    let mut hash = Sha256::new();
    for seed in 0..u64::from(seeds) {
        let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Random(seed) };
        let row = &mut |_, rgb: &[u8]| {
            hash.update(rgb);
            ControlFlow::Continue(())
        };
        generate(&pack, &sample, workspace, row).ok()?;
    }
    for byte in hash.finalize() {
        write!(Out, "{byte:02x}").ok()?;
    }
    writeln!(Out).ok()
}

/// The ticks of one image.
struct Ticks {
    first_row: u32,
    all: u32,
}

/// Prints the ticks of an image with a known w, to its first row and to its last; the ticks of the same image from a
/// seed; the deepest stack, including that of opening the pack; and the bytes of the workspace.
pub fn cost() -> Option<()> {
    let painted = paint();
    let (given, seeded, workspace) = measure()?;
    let stack = depth(painted);
    writeln!(Out, "{} {} {} {stack} {workspace}", given.all, given.first_row, seeded.all).ok()
}

/// Does everything that a device does: opens the pack and makes images. It is a function of its own so that its stack
/// frame is measured.
#[inline(never)]
fn measure() -> Option<(Ticks, Ticks, usize)> {
    let opened = Pack::open(machine::pack()?);
    let pack = opened.as_ref().ok()?;
    // SAFETY: this is the only call in this job.
    let workspace = unsafe { machine::workspace() }.get_mut(..pack.workspace_len())?;
    // With psi = 0 the w of any seed is the average, too, so the difference of the two is the mapping network.
    let given = image(pack, Latent::W(average(pack)?), workspace).ok()?;
    let seeded = image(pack, Latent::Seed(0), workspace).ok()?;
    Some((given, seeded, 4 * pack.workspace_len()))
}

/// The average w of a pack.
fn average<'a>(pack: &Pack<'a>) -> Option<&'a [i32]> {
    let start = pack.header().w_average as usize;
    bytemuck::try_cast_slice(pack.bytes().get(start..start + 4 * pack.w_dim())?).ok()
}

fn image(pack: &Pack<'_>, latent: Latent<'_>, workspace: &mut [i32]) -> Result<Ticks, GenerateError> {
    let sample = Sample { latent, psi: 0, noise: Noise::Random(0) };
    let started = now();
    let mut first_row = 0;
    generate(pack, &sample, workspace, &mut |y, _| {
        // Reads the clock often enough to extend its 24 bits.
        now();
        if y == 0 {
            first_row = since(started);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Ticks { first_row, all: since(started) })
}

/// Makes the image that [`cost`] measures, and nothing else, after calling `begin`.
#[cfg(target_arch = "arm")]
pub fn profiled(begin: fn()) -> Option<()> {
    let opened = Pack::open(machine::pack()?);
    let pack = opened.as_ref().ok()?;
    // SAFETY: this is the only call in this job.
    let workspace = unsafe { machine::workspace() }.get_mut(..pack.workspace_len())?;
    let w = average(pack)?;
    begin();
    image(pack, Latent::W(w), workspace).ok().map(|_| ())
}
