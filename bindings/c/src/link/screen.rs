//! The engine with the caller's look at every row.

use core::ffi::c_void;
use core::ops::ControlFlow;

use nickeldime_core::device::{Engine, Facts, Integers};
use nickeldime_core::generator::{GenerateError, Sample};
use nickeldime_core::pack::{Hashed, PackError};

use crate::draw::Row;

/// [`Integers`] that shows each row to the caller before the line gets it.
pub(crate) struct Screen {
    pub user: *mut c_void,
    pub row: Row,
}

impl Engine for Screen {
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
        Integers.generate(pack, sample, workspace, &mut |y, pixels| {
            if let Some(show) = self.row {
                // SAFETY: the caller's function, with bytes that live during the call.
                unsafe { show(self.user, y, pixels.as_ptr(), pixels.len()) };
            }
            row(y, pixels)
        })
    }
}
