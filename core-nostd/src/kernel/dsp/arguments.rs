//! Checks and offsets that several kernels share.

/// True if a slice begins at a multiple of 4 bytes, which loads of several words need.
#[inline(always)]
pub fn aligned<T>(slice: &[T]) -> bool {
    slice.as_ptr().addr().is_multiple_of(4)
}

/// Bytes of code to skip in the first round of a loop that is unrolled `unrolled` times, so that it does `steps` steps
/// in all. A step is `size` bytes of code.
#[inline(always)]
pub fn entry(steps: usize, unrolled: usize, size: usize) -> usize {
    let first = steps % unrolled;
    // A full first round skips nothing.
    if first == 0 { 0 } else { (unrolled - first) * size }
}
