//! The multiply-accumulate loop of transposed convolutions: 4 input pixels, 8 columns of two output channels.

use core::arch::naked_asm;

use super::tile::{begin, end, store};
use crate::kernel::tiles::{self, Tiles};

/// Gives the same result as [`portable::spread_pair`](crate::kernel::portable::spread_pair).
pub fn spread_pair(sources: &[(&[i16], &[i8])], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    tiles::spread_pair(sources, width, first, acc, tiles_of_8);
}

/// Tiles of 4 pixels, which make 8 columns. Pixel x adds to columns 2x, 2x + 1 and 2x + 2.
///
/// # Safety
/// The conditions are those of every [`Loop`](tiles::Loop).
#[unsafe(naked)]
unsafe extern "C" fn tiles_of_8(tiles: &mut Tiles) {
    naked_asm!(
        arch!(),
        ".macro ND_INPUT at",
        "ND_WEIGHTS \\at",
        "lh a3, \\at+0(a2)",
        "ND_BOTH t4, t5, s0, s8",
        "lh a3, \\at+4(a2)",
        "ND_BOTH t0, t1, s0, s8",
        "ND_BOTH t2, t3, s1, s9",
        "ND_BOTH t4, t5, s2, s10",
        "lh a3, \\at+8(a2)",
        "ND_BOTH t0, t1, s2, s10",
        "ND_BOTH t2, t3, s3, s11",
        "ND_BOTH t4, t5, s4, a6",
        "lh a3, \\at+12(a2)",
        "ND_BOTH t0, t1, s4, a6",
        "ND_BOTH t2, t3, s5, a7",
        "ND_BOTH t4, t5, s6, t6",
        "lh a3, \\at+16(a2)",
        "ND_BOTH t0, t1, s6, t6",
        "ND_BOTH t2, t3, s7, ra",
        ".endm",
        begin!(),
        "ND_INPUT 0",
        "ND_INPUT 2",
        store!(),
        "sw s0, 0(a3)",
        "sw s1, 4(a3)",
        "sw s2, 8(a3)",
        "sw s3, 12(a3)",
        "sw s4, 16(a3)",
        "sw s5, 20(a3)",
        "sw s6, 24(a3)",
        "sw s7, 28(a3)",
        "sw s8, 0(a5)",
        "sw s9, 4(a5)",
        "sw s10, 8(a5)",
        "sw s11, 12(a5)",
        "sw a6, 16(a5)",
        "sw a7, 20(a5)",
        "sw t6, 24(a5)",
        "sw ra, 28(a5)",
        "addi a3, a3, 32",
        "addi a5, a5, 32",
        end!(),
        ".purgem ND_INPUT",
        ".option pop",
        next = const 16,
    )
}
