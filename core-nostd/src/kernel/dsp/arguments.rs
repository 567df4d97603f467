//! What several kernels ask of their arguments.

/// True if a slice begins at a multiple of 4, which loads of several words need.
#[inline(always)]
pub fn aligned<T>(slice: &[T]) -> bool {
    slice.as_ptr().addr().is_multiple_of(4)
}

/// Bytes that the first round of an unrolled loop skips to do `steps` in all, of `size` bytes of code each.
#[inline(always)]
pub fn entry(steps: usize, unrolled: usize, size: usize) -> usize {
    let first = steps % unrolled;
    // A full first round skips nothing.
    if first == 0 { 0 } else { (unrolled - first) * size }
}
