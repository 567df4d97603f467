//! How the caller's one buffer is divided, as [`pack::plan`](crate::pack::plan) has it.
//!
//! ```text
//!   | factors | styles | shared: first the mapping's vectors, then rows, image rows and scratch |
//! ```
//!
//! Styles and factors of all layers are made before the first row. From then on w is not needed, and the rows take the
//! mapping's place.

use crate::pack::layout::Block;
use crate::pack::plan::{BlockLens, WorkspacePlan, halves};
use crate::sample::GenerateError;

/// Splits a buffer into parts, one after the other from its front.
pub(crate) struct Carver<'w>(&'w mut [i32]);

impl<'w> Carver<'w> {
    pub fn new(buffer: &'w mut [i32]) -> Self {
        Self(buffer)
    }

    /// Number of elements that are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// `len` values of 32 bits.
    pub fn words(&mut self, len: usize) -> Result<&'w mut [i32], GenerateError> {
        let (part, left) =
            core::mem::take(&mut self.0).split_at_mut_checked(len).ok_or(GenerateError::WorkspaceTooSmall)?;
        self.0 = left;
        Ok(part)
    }

    /// `len` values of 16 bits.
    pub fn halves(&mut self, len: usize) -> Result<&'w mut [i16], GenerateError> {
        let part: &mut [i16] = bytemuck::cast_slice_mut(self.words(halves(len))?);
        part.get_mut(..len).ok_or(GenerateError::WorkspaceTooSmall)
    }

    /// `len` pairs of words.
    pub fn pairs(&mut self, len: usize) -> Result<&'w mut [[i32; 2]], GenerateError> {
        Ok(bytemuck::cast_slice_mut(self.words(2 * len)?))
    }
}

/// The two parts of the workspace.
pub(crate) struct Workspace<'w> {
    /// Factors and styles of all layers, which last for the whole image.
    pub kept: Carver<'w>,
    /// The vectors of the mapping network, and after that the rows.
    pub shared: &'w mut [i32],
}

impl<'w> Workspace<'w> {
    /// Splits `buffer`; elements beyond the plan are not used.
    pub fn new(plan: &WorkspacePlan, buffer: &'w mut [i32]) -> Result<Self, GenerateError> {
        let buffer = buffer.get_mut(..plan.total).ok_or(GenerateError::WorkspaceTooSmall)?;
        let (kept, shared) = buffer.split_at_mut((plan.ram.factors + plan.ram.styles) / 4);
        Ok(Self { kept: Carver::new(kept), shared })
    }
}

/// The vectors that the mapping network and the styles are computed in.
pub(crate) struct Vectors<'w> {
    /// Fixed-point results of a dense layer; the length is that of the widest layer.
    pub values: &'w mut [i32],
    /// Mantissas of a dense layer's input; the length is that of the widest layer.
    pub mantissas: &'w mut [i16],
    /// Mantissas of w.
    pub w: &'w mut [i16],
    /// The first of two ws, Q16.
    pub first: &'w mut [i32],
}

impl<'w> Vectors<'w> {
    /// Splits the shared part into the vectors.
    pub fn new(plan: &WorkspacePlan, shared: &'w mut [i32]) -> Result<Self, GenerateError> {
        let mut carver = Carver::new(shared);
        Ok(Self {
            values: carver.words(plan.features)?,
            mantissas: carver.halves(plan.features)?,
            w: carver.halves(plan.w_dim)?,
            first: carver.words(plan.w_dim)?,
        })
    }
}

/// Buffers that all blocks share in turn. Nothing in them lasts longer than one step of a block.
pub(crate) struct Scratch<'w> {
    /// A feature row on its way from one layer to the next.
    pub row: &'w mut [i16],
    /// The newest modulated or intermediate row.
    pub fresh: &'w mut [i16],
    /// Accumulators of one channel, or the bytes of an image row.
    pub acc: &'w mut [i32],
    /// A row of noise.
    pub noise: &'w mut [i32],
    /// An image row, `[colour][width]`.
    pub rgb: &'w mut [i16],
    /// The weights of one output channel.
    pub taps: &'w mut [i16],
}

impl<'w> Scratch<'w> {
    /// Takes the scratch from `carver`.
    pub fn new(plan: &WorkspacePlan, carver: &mut Carver<'w>) -> Result<Self, GenerateError> {
        let lens = &plan.scratch;
        Ok(Self {
            row: carver.halves(lens.row)?,
            fresh: carver.halves(lens.fresh)?,
            acc: carver.words(lens.acc)?,
            noise: carver.words(lens.noise)?,
            rgb: carver.halves(lens.rgb)?,
            taps: carver.halves(lens.taps)?,
        })
    }
}

/// The rows that one block keeps from step to step.
pub(crate) struct BlockRows<'w> {
    /// Modulated input rows of conv0.
    pub inputs: &'w mut [i16],
    /// Intermediate rows of conv0.
    pub middle: &'w mut [i16],
    /// Modulated rows of conv1.
    pub conv: &'w mut [i16],
    /// Image rows.
    pub image: &'w mut [i16],
}

impl<'w> BlockRows<'w> {
    /// Takes a block's rows from `carver`.
    pub fn new(
        block: &Block,
        width: usize,
        colours: usize,
        last: bool,
        carver: &mut Carver<'w>,
    ) -> Result<Self, GenerateError> {
        let lens = BlockLens::new(block, width, colours, last);
        Ok(Self {
            inputs: carver.halves(lens.inputs)?,
            middle: carver.halves(lens.middle)?,
            conv: carver.halves(lens.conv)?,
            image: carver.halves(lens.image)?,
        })
    }
}
