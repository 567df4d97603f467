//! Draws a scene as pixels on a white background.

use ab_glyph::{Font, FontRef, ScaleFont, point};
use tiny_skia::{
    Color, LineCap, LineJoin, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Stroke, StrokeDash, Transform,
};

use super::scene::{Anchor, Mark, Point, Role, Scene};
use crate::picture::Picture;

/// The letters of DejaVu Sans that plots need. With a font of its own the command draws the same on every machine.
const FONT: &[u8] = include_bytes!("font/dejavu-sans-latin.ttf");

/// Pixels for each unit of the drawing; two keep text sharp on high-resolution screens.
const SCALE: f32 = 2.0;

impl Scene {
    /// The drawing as a picture with two pixels for each unit, or `None` if width or height is 0.
    pub fn picture(&self) -> Option<Picture> {
        let (width, height) = ((self.width * SCALE) as u32, (self.height * SCALE) as u32);
        let mut pixels = Pixmap::new(width, height)?;
        pixels.fill(Color::WHITE);
        let font = FontRef::try_from_slice(FONT).ok();
        for mark in &self.marks {
            match mark {
                Mark::Line { points, role, width, dash } => {
                    let dash = dash.lengths().and_then(|lengths| StrokeDash::new(lengths.to_vec(), 0.0));
                    line(&mut pixels, points, *role, 1.0, Stroke { width: *width, dash, ..round() });
                }
                Mark::Dots { points, role, radius, opacity } => {
                    for &(x, y) in points {
                        let dot = [(x, y), (x + 0.01, y)];
                        line(&mut pixels, &dot, *role, *opacity, Stroke { width: 2.0 * radius, ..round() });
                    }
                }
                Mark::Text { at, text, role, size, anchor, upright } => {
                    if let Some(font) = &font {
                        write(&mut pixels, font, *at, text, *role, *size, *anchor, *upright);
                    }
                }
            }
        }
        let rgb = pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        Some(Picture::new(width as usize, height as usize, rgb))
    }
}

fn round() -> Stroke {
    Stroke { line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

fn line(pixels: &mut Pixmap, points: &[Point], role: Role, opacity: f32, stroke: Stroke) {
    let mut path = PathBuilder::new();
    for (n, &(x, y)) in points.iter().enumerate() {
        if n == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    let Some(path) = path.finish() else { return };
    let [r, g, b] = rgb(role);
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, (opacity * 255.0) as u8);
    pixels.stroke_path(&path, &paint, &stroke, Transform::from_scale(SCALE, SCALE), None);
}

#[expect(clippy::too_many_arguments, reason = "the fields of a text")]
fn write(
    pixels: &mut Pixmap,
    font: &FontRef,
    at: Point,
    text: &str,
    role: Role,
    size: f32,
    anchor: Anchor,
    upright: bool,
) {
    // The font's units: ab_glyph's scale is the height from ascent to descent, not the em.
    let em = font.units_per_em().unwrap_or(2048.0);
    let scaled = font.as_scaled(size * SCALE * font.height_unscaled() / em);
    let long: f32 = text.chars().map(|c| scaled.h_advance(font.glyph_id(c))).sum();
    let mut pen = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -long / 2.0,
        Anchor::End => -long,
    };
    let (left, base) = (at.0 * SCALE, at.1 * SCALE);
    let colour = rgb(role);
    for c in text.chars() {
        let id = font.glyph_id(c);
        let glyph = id.with_scale_and_position(scaled.scale(), point(pen, 0.0));
        pen += scaled.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|x, y, coverage| {
            let (x, y) = (bounds.min.x + x as f32, bounds.min.y + y as f32);
            let (x, y) = if upright { (left + y, base - x) } else { (left + x, base + y) };
            blend(pixels, x, y, colour, coverage);
        });
    }
}

fn blend(pixels: &mut Pixmap, x: f32, y: f32, colour: [u8; 3], coverage: f32) {
    let (width, height) = (pixels.width() as f32, pixels.height() as f32);
    if !(0.0..width).contains(&x) || !(0.0..height).contains(&y) {
        return;
    }
    let at = y as usize * pixels.width() as usize + x as usize;
    let share = coverage.clamp(0.0, 1.0);
    let pixel = &mut pixels.pixels_mut()[at];
    let mix = |below: u8, above: u8| (f32::from(below) * (1.0 - share) + f32::from(above) * share) as u8;
    let [r, g, b] = colour;
    let mixed = [mix(pixel.red(), r), mix(pixel.green(), g), mix(pixel.blue(), b)];
    // The page is opaque: every colour is its own premultiplied form.
    if let Some(mixed) = PremultipliedColorU8::from_rgba(mixed[0], mixed[1], mixed[2], 255) {
        *pixel = mixed;
    }
}

fn rgb(role: Role) -> [u8; 3] {
    let hex = role.light();
    [1, 3, 5].map(|at| hex.get(at..at + 2).and_then(|h| u8::from_str_radix(h, 16).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::scene::Dash;

    #[test]
    fn marks_leave_their_colour_and_texts_their_ink() {
        let red =
            Mark::Line { points: vec![(0.0, 5.0), (40.0, 5.0)], role: Role::Series(1), width: 4.0, dash: Dash::Solid };
        let text = |upright| Mark::Text {
            at: (20.0, 20.0),
            text: "H\u{2212}1".into(),
            role: Role::Ink,
            size: 10.0,
            anchor: Anchor::Middle,
            upright,
        };
        for upright in [false, true] {
            let scene =
                Scene { width: 40.0, height: 30.0, title: String::new(), marks: vec![red.clone(), text(upright)] };
            let picture = scene.picture().unwrap();
            assert_eq!((picture.width(), picture.height()), (80, 60));
            let pixel = |x: usize, y: usize| &picture.pixels()[3 * (y * 80 + x)..][..3];
            assert_eq!(pixel(40, 10), [0xd5, 0x5e, 0]);
            assert_eq!(pixel(2, 58), [255; 3]);
            let dark = picture.pixels().chunks(3).filter(|p| p.iter().all(|&c| c < 90)).count();
            assert!((20..400).contains(&dark), "{dark}");
        }
        let none = Scene { width: 0.0, height: 3.0, title: String::new(), marks: Vec::new() };
        assert!(none.picture().is_none());
    }
}
