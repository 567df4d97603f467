//! The integer engine on the host: the preview of what a device will draw.

use std::ops::ControlFlow;

use nickeldime_core::generator::{GenerateError, Sample, generate};
use nickeldime_core::pack::Pack;

/// Why a pack gave no image.
pub type RenderError = GenerateError;

/// One image, `[height][width][3]` bytes.
///
/// # Errors
/// Those of [`generate`].
pub fn render(pack: &Pack<'_>, sample: &Sample<'_>) -> Result<Vec<u8>, RenderError> {
    let mut workspace = vec![0; pack.workspace_len()];
    let mut image = Vec::with_capacity(3 * pack.resolution() * pack.resolution());
    generate(pack, sample, &mut workspace, &mut |_, row| {
        image.extend_from_slice(row);
        ControlFlow::Continue(())
    })?;
    Ok(image)
}
