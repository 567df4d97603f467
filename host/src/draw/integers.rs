//! Draws images with the integer engine on the host, with the same bytes as on a device.

use std::ops::ControlFlow;

use nickeldime_core::generator::{GenerateError, Sample, generate};
use nickeldime_core::pack::Pack;

use super::{drawn::Drawn, error::DrawError, request::DrawRequest};
use crate::progress::Progress;

/// Draws one image, as `[height][width][channels]` bytes.
///
/// # Errors
/// The errors of [`generate`].
pub fn render(pack: &Pack<'_>, sample: &Sample<'_>) -> Result<Vec<u8>, GenerateError> {
    let mut workspace = vec![0; pack.workspace_len()];
    let mut image = Vec::with_capacity(pack.channels() * pack.resolution() * pack.resolution());
    generate(pack, sample, &mut workspace, &mut |_, row| {
        image.extend_from_slice(row);
        ControlFlow::Continue(())
    })?;
    Ok(image)
}

impl DrawRequest<'_> {
    /// Draws with the integer engine on the host.
    ///
    /// # Errors
    /// Latents that do not fit the pack; `progress` asked to stop.
    pub fn in_integers(&self, pack: &Pack<'_>, progress: &mut dyn Progress) -> Result<Drawn, DrawError> {
        let latents = self.fixed_latents(pack.z_dim());
        let samples = self.samples(&latents, pack.noise_default());
        progress.begin("drawing", "img", samples.len() as u64);
        let mut rgb = Vec::with_capacity(samples.len());
        for sample in &samples {
            if progress.stopped() {
                return Err(DrawError::Stopped);
            }
            rgb.push(render(pack, sample).map_err(DrawError::Integers)?);
            progress.at(rgb.len() as u64, "");
        }
        progress.end();
        Ok(Drawn::from_bytes(pack.resolution(), rgb))
    }
}
