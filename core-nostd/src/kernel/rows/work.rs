//! The buffers in which rows are made.

/// The buffers in which a row is made.
#[derive(Debug)]
pub struct Work<'w> {
    /// One output channel's weights as 16 bits; the length is `9 * padded(inputs)`.
    pub taps: &'w mut [i16],
    /// Accumulators. The length is at least the row's width, or [`middle_len`](crate::kernel::layout::middle_len); the
    /// kernels use whatever length there is.
    pub acc: &'w mut [i32],
}
