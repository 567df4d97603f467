//! Draws the picture at the top of the README out of what `nickeldime demo` leaves:
//!
//! ```text
//! nickeldime demo -o demo
//! cargo run --release -p nickeldime --example same_latents -- demo docs/figures/same-latents.png
//! ```

use std::path::Path;

use anyhow::{Context, ensure};
use image::{RgbImage, imageops};
use nickeldime::{
    picture::Picture,
    report::scene::{Anchor, Mark, Role, Scene},
};

/// Height and width of one image in a grid of the demo.
const SIZE: u32 = 64;
/// Images in a row of a grid, and rows of a grid.
const GRID: (u32, u32) = (8, 2);
/// Space between the pictures' edges and the strips, in pixels.
const MARGIN: u32 = 8;
/// Height of a caption with its strip below, in pixels.
const PITCH: u32 = 112;

/// Places the rows of a grid side by side.
fn strip(grid: &Path) -> anyhow::Result<RgbImage> {
    let image = image::open(grid).with_context(|| grid.display().to_string())?.into_rgb8();
    let wide = GRID.0 * SIZE;
    ensure!(image.dimensions() == (wide, GRID.1 * SIZE), "{}: not a grid of the demo", grid.display());
    let mut strip = RgbImage::new(GRID.1 * wide, SIZE);
    for row in 0..GRID.1 {
        let part = imageops::crop_imm(&image, 0, row * SIZE, wide, SIZE).to_image();
        imageops::replace(&mut strip, &part, i64::from(row * wide), 0);
    }
    Ok(strip)
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [demo, output] = &arguments[..] else { anyhow::bail!("usage: same_latents DEMO_FOLDER OUTPUT.png") };
    let demo = Path::new(demo);
    ensure!(
        strip(&demo.join("host.png"))? == strip(&demo.join("device.png"))?,
        "the device's images are not the host's"
    );
    let strips = [
        ("teacher.png", "Teacher: the whole network, in floating point"),
        ("student.png", "Student: 70 % of the channels removed, distilled with NICKEL & DiME"),
        ("device.png", "The student's integers on an emulated Cortex-M4: 75 kB of flash"),
    ];
    let caption = |(n, (_, text)): (usize, &(&str, &str))| Mark::Text {
        at: (MARGIN as f32 / 2.0, (n as u32 * PITCH) as f32 / 2.0 + 15.0),
        text: (*text).into(),
        role: Role::Ink,
        size: 12.0,
        anchor: Anchor::Start,
        upright: false,
    };
    let (width, height) = (GRID.0 * GRID.1 * SIZE + 2 * MARGIN, strips.len() as u32 * PITCH);
    let scene = Scene {
        // A unit of a scene is two pixels.
        width: width as f32 / 2.0,
        height: height as f32 / 2.0,
        title: "The same latents".into(),
        marks: strips.iter().enumerate().map(caption).collect(),
    };
    let drawn = scene.picture().context("a drawing without an area")?;
    let mut picture =
        RgbImage::from_raw(width, height, drawn.pixels().to_vec()).context("a drawing of another size")?;
    for (n, (name, _)) in strips.iter().enumerate() {
        let y = n as u32 * PITCH + PITCH - SIZE - MARGIN;
        imageops::replace(&mut picture, &strip(&demo.join(name))?, i64::from(MARGIN), i64::from(y));
    }
    Picture::new(width as usize, height as usize, picture.into_raw()).write(Path::new(output))?;
    Ok(())
}
