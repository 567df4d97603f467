//! The multiply-accumulate loop of 3x3 convolutions: 8 or 4 pixels of one output channel.

use core::arch::naked_asm;

use super::tile::{begin, end, store};
use crate::kernel::tiles::{self, Tiles};

/// Gives the same result as [`portable::correlate_pair`](crate::kernel::portable::correlate_pair).
pub fn correlate_pair(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    tiles::correlate_pair(rows, weights, width, first, acc, [tiles_of_8, tiles_of_4]);
}

/// Tiles of 8 pixels.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
unsafe extern "C" fn tiles_of_8(tiles: &mut Tiles) {
    // SAFETY: the caller's promise.
    unsafe { tiles.by_channel(channel_tiles_of_8) }
}

/// Tiles of 8 pixels of one channel.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
#[unsafe(naked)]
unsafe extern "C" fn channel_tiles_of_8(tiles: &mut Tiles) {
    naked_asm!(
        ".macro ND_INPUT at",
        "ND_WEIGHTS \\at",
        "ND_PIXEL \\at+0",
        "ND_OUTER r11, r4",
        "ND_PIXEL \\at+4",
        "ND_OUTER r11, r5",
        "ND_MIDDLE r4",
        "ND_PIXEL \\at+8",
        "ND_OUTER r11, r6",
        "ND_OUTER r12, r4",
        "ND_MIDDLE r5",
        "ND_PIXEL \\at+12",
        "ND_OUTER r11, r7",
        "ND_OUTER r12, r5",
        "ND_MIDDLE r6",
        "ND_PIXEL \\at+16",
        "ND_OUTER r11, r8",
        "ND_OUTER r12, r6",
        "ND_MIDDLE r7",
        "ND_PIXEL \\at+20",
        "ND_OUTER r11, r9",
        "ND_OUTER r12, r7",
        "ND_MIDDLE r8",
        "ND_PIXEL \\at+24",
        "ND_OUTER r11, r10",
        "ND_OUTER r12, r8",
        "ND_MIDDLE r9",
        "ND_PIXEL \\at+28",
        "ND_OUTER r11, lr",
        "ND_OUTER r12, r9",
        "ND_MIDDLE r10",
        "ND_PIXEL \\at+32",
        "ND_OUTER r12, r10",
        "ND_MIDDLE lr",
        "ND_PIXEL \\at+36",
        "ND_OUTER r12, lr",
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
        next = const 32,
    )
}

/// Tiles of 4 pixels.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
unsafe extern "C" fn tiles_of_4(tiles: &mut Tiles) {
    // SAFETY: the caller's promise.
    unsafe { tiles.by_channel(channel_tiles_of_4) }
}

/// Tiles of 4 pixels of one channel, in the first four accumulators.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
#[unsafe(naked)]
unsafe extern "C" fn channel_tiles_of_4(tiles: &mut Tiles) {
    naked_asm!(
        ".macro ND_INPUT at",
        "ND_WEIGHTS \\at",
        "ND_PIXEL \\at+0",
        "ND_OUTER r11, r4",
        "ND_PIXEL \\at+4",
        "ND_OUTER r11, r5",
        "ND_MIDDLE r4",
        "ND_PIXEL \\at+8",
        "ND_OUTER r11, r6",
        "ND_OUTER r12, r4",
        "ND_MIDDLE r5",
        "ND_PIXEL \\at+12",
        "ND_OUTER r11, r7",
        "ND_OUTER r12, r5",
        "ND_MIDDLE r6",
        "ND_PIXEL \\at+16",
        "ND_OUTER r12, r6",
        "ND_MIDDLE r7",
        "ND_PIXEL \\at+20",
        "ND_OUTER r12, r7",
        ".endm",
        begin!(),
        "ND_INPUT 0",
        "ND_INPUT 2",
        store!(),
        "stm r0!, {{r4, r5, r6, r7}}",
        end!(),
        ".purgem ND_INPUT",
        next = const 16,
    )
}
