//! The buffers in which rows are made.

/// The buffers in which a row is made.
#[derive(Debug)]
pub struct Work<'w> {
    /// One output channel's weights as 16 bits: `9 * padded(inputs)`.
    pub taps: &'w mut [i16],
    /// Accumulators: at least the width, or [`middle_len`](crate::kernel::layout::middle_len). The kernels use all that there is.
    pub acc: &'w mut [i32],
}
