//! Makes one image of a pack and writes it as a PNM file, in integers alone:
//!
//! ```text
//! cargo run --release -p nickeldime-core --example generate -- model.ndm 7 seven.ppm
//! ```

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::{env, fs};

use nickeldime_core::generator::{Latent, Noise, Sample, generate};
use nickeldime_core::pack::Pack;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [pack, seed, image] = &*arguments else {
        return Err("usage: generate PACK SEED IMAGE.ppm".into());
    };
    // A pack is read in place, and begins at a multiple of 4: here in words, on a board in its flash.
    let file = fs::read(pack)?;
    let mut words = vec![0u32; file.len().div_ceil(4)];
    let bytes = &mut bytemuck::cast_slice_mut::<u32, u8>(&mut words)[..file.len()];
    bytes.copy_from_slice(&file);
    let pack = Pack::open(bytes)?;

    let sample = Sample { latent: Latent::Seed(seed.parse()?), psi: 1 << 14, noise: Noise::None };
    let mut workspace = vec![0; pack.workspace_len()];
    let mut image = fs::File::create(image)?;
    let (size, kind) = (pack.resolution(), if pack.channels() == 1 { 5 } else { 6 });
    writeln!(image, "P{kind}\n{size} {size}\n255")?;
    let mut written = Ok(());
    let made = generate(&pack, &sample, &mut workspace, &mut |_, row| {
        written = image.write_all(row);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written?;
    Ok(made?)
}
