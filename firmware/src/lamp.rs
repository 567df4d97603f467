//! The engine of a board: what shows, and what must not be forgotten, while an image is made.

use core::marker::PhantomData;
use core::ops::ControlFlow;

use nickeldime_core::device::{Engine, Facts, Integers};
use nickeldime_core::generator::{GenerateError, Sample};
use nickeldime_core::pack::PackError;

use crate::Board;

/// [`Integers`] with the board's lamp lit meanwhile, and its watchdog fed at every row.
pub struct Lamp<B>(PhantomData<B>);

impl<B> Default for Lamp<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: Board> Engine for Lamp<B> {
    fn open(&self, pack: &[u8]) -> Result<Facts, PackError> {
        Integers.open(pack)
    }

    fn generate(
        &self,
        pack: &[u8],
        sample: &Sample<'_>,
        workspace: &mut [i32],
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        B::lamp(true);
        let result = Integers.generate(pack, sample, workspace, &mut |y, rgb| {
            B::feed();
            row(y, rgb)
        });
        B::lamp(false);
        result
    }
}
