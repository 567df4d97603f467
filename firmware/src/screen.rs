//! Displays that show images while they are drawn.

/// A display that shows rows of pixels.
pub trait Screen {
    /// False for the absence of a display.
    const PRESENT: bool;

    /// Shows row `y` of an image: `pixels` has `channels` bytes (3 for RGB, 1 for grey) for each pixel, and the image has as
    /// many rows as a row has pixels.
    fn row(&mut self, y: usize, pixels: &[u8], channels: usize);
}

/// The screen of a board without a display.
pub struct NoScreen;

impl Screen for NoScreen {
    const PRESENT: bool = false;

    fn row(&mut self, _: usize, _: &[u8], _: usize) {}
}

/// A display that may have failed to start.
impl<S: Screen> Screen for Option<S> {
    const PRESENT: bool = S::PRESENT;

    fn row(&mut self, y: usize, pixels: &[u8], channels: usize) {
        if let Some(screen) = self {
            screen.row(y, pixels, channels);
        }
    }
}

#[cfg(feature = "display")]
pub use canvas::Canvas;

#[cfg(feature = "display")]
mod canvas {
    use core::iter::repeat_n;

    use embedded_graphics_core::draw_target::DrawTarget;
    use embedded_graphics_core::geometry::{Point, Size};
    use embedded_graphics_core::pixelcolor::Rgb888;
    use embedded_graphics_core::primitives::Rectangle;

    use super::Screen;

    /// Draws images in the middle of a display. Small images are enlarged by a whole factor; of large ones every second,
    /// third, ... pixel is drawn.
    pub struct Canvas<D> {
        target: D,
    }

    impl<D: DrawTarget> Canvas<D> {
        /// A canvas on `target`, which is not cleared.
        pub fn new(target: D) -> Self {
            Self { target }
        }
    }

    impl<D: DrawTarget> Screen for Canvas<D>
    where
        D::Color: From<Rgb888>,
    {
        const PRESENT: bool = true;

        fn row(&mut self, y: usize, pixels: &[u8], channels: usize) {
            let area = self.target.bounding_box();
            let (size, room) = (pixels.len() / channels.max(1), area.size.width.min(area.size.height) as usize);
            if size == 0 || room == 0 {
                return;
            }
            let (factor, step) = ((room / size).max(1), size.div_ceil(room));
            if !y.is_multiple_of(step) {
                return;
            }
            let side = size.div_ceil(step) * factor;
            let left = area.top_left.x + (area.size.width as usize - side) as i32 / 2;
            let top = area.top_left.y + (area.size.height as usize - side) as i32 / 2;
            let corner = Point::new(left, top + (y / step * factor) as i32);
            let row = Rectangle::new(corner, Size::new(side as u32, factor as u32));
            let pixels = pixels.chunks_exact(channels.max(1)).step_by(step).map(|pixel| match *pixel {
                [r, g, b] => Rgb888::new(r, g, b),
                [grey, ..] => Rgb888::new(grey, grey, grey),
                [] => Rgb888::new(0, 0, 0),
            });
            let colours = pixels.flat_map(|colour| repeat_n(D::Color::from(colour), factor));
            // A display that fails shows nothing; the image goes on.
            let _ = self.target.fill_contiguous(&row, repeat_n(colours, factor).flatten());
        }
    }
}
