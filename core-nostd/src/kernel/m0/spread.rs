//! The multiply-accumulate loop of transposed convolutions: 4 input pixels, 8 columns of one output channel.

use core::arch::naked_asm;

use super::tile::{begin, end, store};
use crate::kernel::tiles::{self, Tiles};

/// Gives the same result as [`portable::spread_pair`](crate::kernel::portable::spread_pair).
pub fn spread_pair(sources: &[(&[i16], &[i8])], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    tiles::spread_pair(sources, width, first, acc, tiles_of_8);
}

/// Tiles of 4 pixels, which make 8 columns.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
unsafe extern "C" fn tiles_of_8(tiles: &mut Tiles) {
    // SAFETY: the caller's promise.
    unsafe { tiles.by_channel(channel_tiles_of_8) }
}

/// Tiles of 4 pixels, which make 8 columns, of one channel. Pixel x adds to columns 2x, 2x + 1 and 2x + 2.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
#[unsafe(naked)]
unsafe extern "C" fn channel_tiles_of_8(tiles: &mut Tiles) {
    naked_asm!(
        ".macro ND_INPUT at",
        "ND_WEIGHTS \\at",
        "ND_PIXEL \\at+0",
        "ND_OUTER r12, r4",
        "ND_PIXEL \\at+4",
        "ND_OUTER r11, r4",
        "ND_OUTER r12, r6",
        "ND_MIDDLE r5",
        "ND_PIXEL \\at+8",
        "ND_OUTER r11, r6",
        "ND_OUTER r12, r8",
        "ND_MIDDLE r7",
        "ND_PIXEL \\at+12",
        "ND_OUTER r11, r8",
        "ND_OUTER r12, r10",
        "ND_MIDDLE r9",
        "ND_PIXEL \\at+16",
        "ND_OUTER r11, r10",
        "ND_MIDDLE lr",
        ".endm",
        begin!(),
        "ND_INPUT 0",
        "ND_INPUT 2",
        store!(),
        "stm r0!, {{r4, r5, r6, r7}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, lr",
        "stm r0!, {{r4, r5, r6, r7}}",
        end!(),
        ".purgem ND_INPUT",
        next = const 16,
    )
}
