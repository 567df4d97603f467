//! Views of a pack's arrays, without copies.

/// The `len` bytes at `offset`; empty if the range is not inside `bytes`.
pub(crate) fn i8_array(bytes: &[u8], offset: u32, len: usize) -> &[i8] {
    bytemuck::cast_slice(byte_array(bytes, offset, len))
}

/// The `len` values of 2 or 4 bytes at `offset`; empty if the range is not inside `bytes` or is not aligned.
pub(crate) fn array<T: bytemuck::AnyBitPattern>(bytes: &[u8], offset: u32, len: usize) -> &[T] {
    let size = len.saturating_mul(core::mem::size_of::<T>());
    bytemuck::try_cast_slice(byte_array(bytes, offset, size)).unwrap_or_default()
}

fn byte_array(bytes: &[u8], offset: u32, len: usize) -> &[u8] {
    let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(len)?));
    range.and_then(|range| bytes.get(range)).unwrap_or_default()
}
