//! Modulates the channels of a row and arranges them in groups.

use core::arch::naked_asm;

use super::memory::clear;
use super::{LANES, plain};
use crate::kernel::layout::modulated_index;

/// Arguments of [`channel`].
#[repr(C)]
struct Channel {
    row: *const i16,
    /// Where the first pixel goes. The next one goes one group of channels further.
    out: *mut i16,
    style: i32,
    shift: i32,
    /// Number of pixels.
    width: usize,
}

/// Modulates a feature row, `[channel][width]`, into `out`: `round(x * styles / 2^shift)`, for a shift in 15 .. 30.
pub fn modulate_row(row: &[i16], styles: &[i16], shift: u8, width: usize, out: &mut [i16]) {
    // Clears the borders, and the lanes without a channel.
    let plane = LANES * (width + 2);
    let full = styles.len() / LANES;
    for (group, out) in out.chunks_exact_mut(plane.max(1)).enumerate() {
        if group >= full {
            clear(out);
        } else if let Some((before, rest)) = out.split_first_chunk_mut::<LANES>()
            && let Some((_, after)) = rest.split_last_chunk_mut::<LANES>()
        {
            (*before, *after) = ([0; LANES], [0; LANES]);
        }
    }
    for (c, (row, &style)) in row.chunks_exact(width.max(1)).zip(styles).enumerate() {
        let start = modulated_index(styles.len(), width, LANES, 1, c);
        let Some(out) = out.get_mut(start..).filter(|out| out.len() > LANES * (width - 1)) else { return };
        // The last round's products are whole words.
        if !width.is_multiple_of(2) {
            plain::modulate_channel(row, style, shift, out);
            continue;
        }
        let (row, out, shift) = (row.as_ptr(), out.as_mut_ptr(), -i32::from(shift));
        // SAFETY: the channel has `width` values, an even number above 0, and `out` a place for each, 8 values apart.
        unsafe { channel(&Channel { row, out, style: style.into(), shift, width }) }
    }
}

/// # Safety
/// The arguments meet the conditions that [`modulate_row`] checks.
#[unsafe(naked)]
unsafe extern "C" fn channel(arguments: &Channel) {
    // r1 row, r2 out, r3 style, r12 shift, lr pixels; q0 pixels, q1 and q2 products of every second one, q3 where they go.
    naked_asm!(
        cpu!(),
        "push.w {{r4, lr}}",
        "ldm.w r0, {{r1, r2, r3, r12, lr}}",
        "movs r4, #0",
        "vidup.u16 q3, r4, #8",
        "vdup.16 q1, r3",
        "dlstp.16 lr, lr",
        "2:",
        "vldrh.u16 q0, [r1], #16",
        "vmullt.s16 q2, q0, q1",
        "vmullb.s16 q0, q0, q1",
        "vrshl.s32 q2, r12",
        "vrshl.s32 q0, r12",
        "vmovnt.i32 q0, q2",
        "vstrh.16 q0, [r2, q3, uxtw #1]",
        "add.w r2, r2, #128",
        "letp lr, 2b",
        "pop.w {{r4, pc}}",
    )
}
