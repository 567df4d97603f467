//! 1x1 convolutions: 4 pixels of one output channel.

use core::arch::naked_asm;

use super::{Groups, LANES, plain};

/// Arguments of [`tiles`].
#[repr(C)]
struct Tiles {
    acc: *mut i32,
    /// The first pixel of the first group, and of the last group.
    first: *const i16,
    last: *const i16,
    taps: *const i16,
    /// Number of groups except the last.
    looped: usize,
    /// Bytes from one group's pixels to the next group's, minus those of the four pixels that were read.
    stride: usize,
    /// Number of tiles of 4 pixels.
    count: usize,
    /// The taps of the last group.
    last_taps: [i16; LANES],
}

/// Gives the same result as [`portable::mix`](crate::kernel::portable::mix), for this processor's layout of modulated
/// rows.
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    let (width, pairs) = (acc.len(), taps.len() / 2);
    let (groups, plane) = (Groups::new(pairs), LANES * (width + 2));
    let usable = pairs > 0 && taps.len() == 2 * pairs && row.len() == groups.count * plane;
    if !usable || width == 0 || !width.is_multiple_of(4) {
        return plain::mix(row, taps, acc);
    }
    let mut last_taps = [0; LANES];
    // The last group's channels, or all channels where there are fewer.
    let last = taps.get(taps.len().saturating_sub(LANES)..).unwrap_or_default();
    last_taps.iter_mut().zip(last).for_each(|(to, &tap)| *to = tap);
    let first = row.as_ptr().wrapping_add(LANES);
    let arguments = Tiles {
        acc: acc.as_mut_ptr(),
        first,
        last: first.wrapping_add((groups.count - 1) * plane),
        taps: taps.as_ptr(),
        looped: groups.count - 1,
        stride: (2 * plane).wrapping_sub(64),
        count: width / 4,
        last_taps,
    };
    // SAFETY: `row` has all groups of width + 2 pixels, of which the tile at pixel x reads x + 1 .. x + 5; the taps have 8 values
    // for every group but the last; `acc` has `width` words, a multiple of 4 above 0.
    unsafe { tiles(&arguments) }
}

/// # Safety
/// The arguments meet the conditions that [`mix`] checks.
#[unsafe(naked)]
unsafe extern "C" fn tiles(arguments: &Tiles) {
    // r0 accumulators, r1 and r2 the first and the last group's pixels, r3 taps, r5 groups but the last, r7 stride, lr tiles; r4,
    // r6, r8, r10 sums; r9 pixels, r11 a group's taps, r12 groups left; q0 pixels, q1 taps, q2 the last group's.
    naked_asm!(
        cpu!(),
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0!, {{r1, r2, r3, r4, r5, r7, lr}}",
        "vldrw.u32 q2, [r0]",
        "mov r0, r1",
        "mov r1, r2",
        "mov r2, r3",
        "mov r3, r4",
        "dls lr, lr",
        "2:",
        "vldrh.u16 q0, [r2], #16",
        "vmladav.s16 r4, q0, q2",
        "vldrh.u16 q0, [r2], #16",
        "vmladav.s16 r6, q0, q2",
        "vldrh.u16 q0, [r2], #16",
        "vmladav.s16 r8, q0, q2",
        "vldrh.u16 q0, [r2], #16",
        "vmladav.s16 r10, q0, q2",
        "cbz r5, 4f",
        "mov r9, r1",
        "mov r11, r3",
        "mov r12, r5",
        "3:",
        "vldrh.u16 q1, [r11], #16",
        "vldrh.u16 q0, [r9], #16",
        "vmladava.s16 r4, q0, q1",
        "vldrh.u16 q0, [r9], #16",
        "vmladava.s16 r6, q0, q1",
        "vldrh.u16 q0, [r9], #16",
        "vmladava.s16 r8, q0, q1",
        "vldrh.u16 q0, [r9], #16",
        "vmladava.s16 r10, q0, q1",
        "add r9, r7",
        "subs.w r12, r12, #1",
        "bne 3b",
        "adds r1, #64",
        "4:",
        "stm.w r0!, {{r4, r6, r8, r10}}",
        "le lr, 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
