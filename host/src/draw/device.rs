//! Draws images on a board.

use std::ops::ControlFlow;

use nickeldime_core::generator::Sample;
use nickeldime_link::{Client, Image, LinkError, PortError};

use super::{drawn::Drawn, error::DrawError, request::DrawRequest};
use crate::progress::Progress;

/// Makes the board draw an image of every sample, in order. `progress` counts rows and may stop the drawing between two
/// rows.
///
/// # Errors
/// The errors of [`Client::sample`]; [`LinkError::Stopped`] if `progress` asked to stop.
pub fn images(
    client: &mut Client,
    samples: &[Sample<'_>],
    progress: &mut dyn Progress,
) -> Result<Vec<Image>, PortError> {
    let rows = client.board().model.as_ref().map_or(0, |model| usize::from(model.resolution));
    progress.begin("sampling", "rows", (rows * samples.len()) as u64);
    let mut images = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let image = client.sample(sample, &mut |y, _| {
            progress.at((rows * index + y + 1) as u64, "");
            if progress.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        images.push(image?);
    }
    progress.end();
    Ok(images)
}

impl DrawRequest<'_> {
    /// Draws with the model of a board.
    ///
    /// # Errors
    /// The board has no model, does not accept the latents, or fails; `progress` asked to stop.
    pub fn on_device(&self, client: &mut Client, progress: &mut dyn Progress) -> Result<Drawn, DrawError> {
        let Some(model) = client.board().model.clone() else {
            return Err(DrawError::NoModel);
        };
        let latents = self.fixed_latents(model.z_dim.into());
        let images = match images(client, &self.samples(&latents, model.noise), progress) {
            Err(error) if error.link() == Some(&LinkError::Stopped) => return Err(DrawError::Stopped),
            images => images?,
        };
        let instructions = images.iter().map(|image| image.instructions).collect();
        let images = images.into_iter().map(|image| image.pixels).collect();
        Ok(Drawn { instructions, ..Drawn::from_bytes(model.resolution.into(), images) })
    }
}
