//! How the caller's one buffer is divided.

use crate::generator::GenerateError;
use crate::kernel::padded;
use crate::pack::PackError;
use crate::pack::layout::{Conv, Header};
use crate::synthesis::upsample;

/// Elements (`i32`) of every part of the workspace, from the header alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Fixed-point results of a dense layer.
    values: usize,
    /// Mantissas of a dense layer's input.
    mantissas: usize,
    /// Mantissas of w.
    w: usize,
    /// Styles of a convolution, or of toRGB.
    styles: usize,
    /// One modulated pixel.
    pixel: usize,
    /// Demodulation multipliers and shifts.
    requants: usize,
    /// A convolution layer's rows.
    rows: usize,
    /// One row of noise.
    noise: usize,
    /// One row of the image, before rounding.
    rgb: usize,
    /// One row of the image, in bytes.
    bytes: usize,
    /// The image so far and the one that is being made.
    images: usize,
    /// A layer's input and output.
    maps: usize,
    /// All of it.
    pub total: usize,
}

/// Elements that hold `n` values of 16 bits.
fn halves(n: u64) -> u64 {
    n.div_ceil(2)
}

/// `(inputs, outputs)` of a convolution.
fn channels(conv: &Conv) -> (u64, u64) {
    (conv.affine.outputs.into(), conv.outputs.into())
}

impl Plan {
    /// The plan of a verified header.
    pub fn new(header: &Header<'_>) -> Result<Self, PackError> {
        let mut features = u64::from(header.z_dim.max(header.w_dim));
        for layer in &header.mapping {
            features = features.max(layer.outputs.into());
        }
        let (mut widest, mut rows, mut maps) = (0, 0, 0);
        let mut resolution = 4u64;
        let last = header.blocks.len().saturating_sub(1);
        for (index, block) in header.blocks.iter().enumerate() {
            if let Some(conv) = &block.conv0 {
                let (inputs, outputs) = channels(conv);
                widest = inputs.max(outputs).max(widest);
                let [padded, middle, filtered] =
                    upsample::scratch(resolution as usize, inputs as usize, outputs as usize).map(|n| n as u64);
                rows = rows.max(halves(padded) + halves(middle) + filtered);
                let area = resolution * resolution;
                maps = maps.max(halves(area * inputs) + halves(4 * area * outputs));
                resolution *= 2;
            }
            let (inputs, outputs) = channels(&block.conv1);
            widest = inputs.max(outputs).max(widest);
            rows = rows.max(halves(3 * (resolution + 2) * padded(inputs as usize) as u64));
            // The last convolution's output is used row by row.
            let height = if index == last { 1 } else { resolution };
            maps = maps.max(halves(resolution * resolution * inputs) + halves(height * resolution * outputs));
        }
        let width = resolution;
        let parts = [
            features.max(widest),
            halves(features),
            halves(header.w_dim.into()),
            halves(widest),
            halves(widest),
            2 * widest,
            rows,
            width,
            3 * width,
            (3 * width).div_ceil(4),
            // All images but the last: the one before it beside it.
            halves(3 * width * width / 4) + halves(3 * width * width / 16),
            maps,
        ];
        let total: u64 = parts.iter().sum::<u64>() + halves(widest);
        let total = usize::try_from(total).map_err(|_| PackError::TooLarge)?;
        // No part is larger than the sum.
        let [values, mantissas, w, styles, pixel, requants, rows, noise, rgb, bytes, images, maps] =
            parts.map(|n| n as usize);
        Ok(Self { values, mantissas, w, styles, pixel, requants, rows, noise, rgb, bytes, images, maps, total })
    }
}

/// The workspace, divided.
pub(crate) struct Workspace<'w> {
    pub values: &'w mut [i32],
    pub mantissas: &'w mut [i16],
    pub w: &'w mut [i16],
    pub styles: &'w mut [i16],
    pub rgb_styles: &'w mut [i16],
    pub pixel: &'w mut [i16],
    pub requants: &'w mut [[i32; 2]],
    pub rows: &'w mut [i32],
    pub noise: &'w mut [i32],
    pub rgb: &'w mut [i32],
    pub bytes: &'w mut [u8],
    pub images: &'w mut [i16],
    pub maps: &'w mut [i16],
}

impl<'w> Workspace<'w> {
    /// Divides `buffer`; what is left over is not used.
    pub fn new(plan: &Plan, buffer: &'w mut [i32]) -> Result<Self, GenerateError> {
        let mut rest = buffer;
        let mut take = |len: usize| -> Result<&'w mut [i32], GenerateError> {
            let (part, left) =
                core::mem::take(&mut rest).split_at_mut_checked(len).ok_or(GenerateError::WorkspaceTooSmall)?;
            rest = left;
            Ok(part)
        };
        Ok(Self {
            values: take(plan.values)?,
            mantissas: bytemuck::cast_slice_mut(take(plan.mantissas)?),
            w: bytemuck::cast_slice_mut(take(plan.w)?),
            styles: bytemuck::cast_slice_mut(take(plan.styles)?),
            rgb_styles: bytemuck::cast_slice_mut(take(plan.styles)?),
            pixel: bytemuck::cast_slice_mut(take(plan.pixel)?),
            requants: bytemuck::cast_slice_mut(take(plan.requants)?),
            rows: take(plan.rows)?,
            noise: take(plan.noise)?,
            rgb: take(plan.rgb)?,
            bytes: bytemuck::cast_slice_mut(take(plan.bytes)?),
            images: bytemuck::cast_slice_mut(take(plan.images)?),
            maps: bytemuck::cast_slice_mut(take(plan.maps)?),
        })
    }
}

/// Two arrays in one buffer that exchange their roles: the present one at one end, the next one at the other.
pub(crate) struct PingPong<'w> {
    buffer: &'w mut [i16],
    len: usize,
    at_end: bool,
}

impl<'w> PingPong<'w> {
    /// Empty at first. `buffer` holds the largest present and next arrays together.
    pub fn new(buffer: &'w mut [i16]) -> Self {
        Self { buffer, len: 0, at_end: false }
    }

    /// The present array and room for the next one of `len` values.
    pub fn both(&mut self, len: usize) -> (&[i16], &mut [i16]) {
        if self.at_end {
            let split = self.buffer.len() - self.len;
            let (next, present) = self.buffer.split_at_mut(split);
            (present, &mut next[..len])
        } else {
            let (present, next) = self.buffer.split_at_mut(self.len);
            let start = next.len() - len;
            (present, &mut next[start..])
        }
    }

    /// Makes the next array, of `len` values, the present one.
    pub fn turn(&mut self, len: usize) {
        self.at_end = !self.at_end;
        self.len = len;
    }
}
