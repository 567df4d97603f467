//! Wraps the generator: lights the lamp, restarts the watchdog's count and updates the display during an image.

use core::cell::RefCell;
use core::ops::ControlFlow;

use nickeldime_core::device::{Engine, Facts, Integers};
use nickeldime_core::generator::{GenerateError, Sample};
use nickeldime_core::pack::{Hashed, Pack, PackError};

use crate::Board;
use crate::screen::Screen;

/// [`Integers`] that lights the board's lamp during an image, and at every row feeds the watchdog and shows the row.
pub struct BoardEngine<B: Board> {
    screen: RefCell<B::Screen>,
}

impl<B: Board> BoardEngine<B> {
    /// Creates the engine of a board with this screen.
    pub fn new(screen: B::Screen) -> Self {
        Self { screen: RefCell::new(screen) }
    }
}

impl<B: Board> Engine for BoardEngine<B> {
    fn open(&self, pack: Hashed<'_>) -> Result<Facts, PackError> {
        Integers.open(pack)
    }

    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        workspace: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        // Nothing else draws, because the engine makes one image at a time.
        let mut screen = self.screen.borrow_mut();
        let channels = if B::Screen::PRESENT { Pack::reopen(pack).map_or(3, |pack| pack.channels()) } else { 3 };
        B::lamp(true);
        let result = Integers.generate(pack, sample, workspace, &mut |y, pixels| {
            B::feed_watchdog();
            screen.row(y, pixels, channels);
            row(y, pixels)
        });
        B::lamp(false);
        result
    }
}
