//! The code that the loops over tiles share: registers, sources, and the step to the next tile.

/// Begins a loop over tiles. A tile has 16 accumulators: `s0` .. `s7` for the first channel, and `s8` .. `s11`, `a6`,
/// `a7`, `t6` and `ra` for the second. `a0` holds the stride of the planes, `a1` points to the weights, `a2` to the
/// pixels, `t0` .. `t5` hold an input channel's weights, tap by tap, `a3` a pixel, and `a4` and `a5` are free. The code
/// between `begin` and `end` is one step of the loop: one pair of channels of one source. `next` is the number of bytes
/// of pixels from one tile to the next.
macro_rules! begin {
    () => {
        concat!(
            // One input channel's weights; `at` is 0 for the pair's first channel and 2 for its second.
            ".macro ND_WEIGHTS at\n",
            "lb t0, \\at+0(a1)\n",
            "lb t1, \\at+1(a1)\n",
            "lb t2, \\at+4(a1)\n",
            "lb t3, \\at+5(a1)\n",
            "lb t4, \\at+8(a1)\n",
            "lb t5, \\at+9(a1)\n",
            ".endm\n",
            // The pixel times one tap of both output channels.
            ".macro ND_BOTH tap_a, tap_b, a, b\n",
            "mul a4, a3, \\tap_a\n",
            "mul a5, a3, \\tap_b\n",
            "add \\a, \\a, a4\n",
            "add \\b, \\b, a5\n",
            ".endm\n",
            "addi sp, sp, -64\n",
            "sw ra, 0(sp)\n",
            "sw s0, 4(sp)\n",
            "sw s1, 8(sp)\n",
            "sw s2, 12(sp)\n",
            "sw s3, 16(sp)\n",
            "sw s4, 20(sp)\n",
            "sw s5, 24(sp)\n",
            "sw s6, 28(sp)\n",
            "sw s7, 32(sp)\n",
            "sw s8, 36(sp)\n",
            "sw s9, 40(sp)\n",
            "sw s10, 44(sp)\n",
            "sw s11, 48(sp)\n",
            // 52: the arguments, 56: the source, 60: the end of its weights.
            "sw a0, 52(sp)\n",
            "2:\n",
            "lw a4, 52(sp)\n",
            "lw a0, 0(a4)\n",
            "addi a5, a4, 8\n",
            "li s0, 0\n",
            "li s1, 0\n",
            "li s2, 0\n",
            "li s3, 0\n",
            "li s4, 0\n",
            "li s5, 0\n",
            "li s6, 0\n",
            "li s7, 0\n",
            "li s8, 0\n",
            "li s9, 0\n",
            "li s10, 0\n",
            "li s11, 0\n",
            "li a6, 0\n",
            "li a7, 0\n",
            "li t6, 0\n",
            "li ra, 0\n",
            "lw a2, 0(a5)\n",
            "3:\n",
            "addi a3, a2, {next}\n",
            "lw a1, 4(a5)\n",
            "lw a4, 8(a5)\n",
            "sw a3, 0(a5)\n",
            "sw a5, 56(sp)\n",
            "sw a4, 60(sp)\n",
            "4:\n",
        )
    };
}

/// Ends what [`begin`] began. `a4` points to the arguments, `a3` and `a5` to where the accumulators of the two channels
/// go. The stores stand between `store` and `end`.
macro_rules! store {
    () => {
        concat!(
            "lw a4, 60(sp)\n",
            "addi a1, a1, 12\n",
            "add a2, a2, a0\n",
            "bne a1, a4, 4b\n",
            "lw a5, 56(sp)\n",
            "addi a5, a5, 12\n",
            "lw a2, 0(a5)\n",
            "bnez a2, 3b\n",
            "lw a4, 52(sp)\n",
            "lw a3, 56(a4)\n",
            "lw a5, 60(a4)\n",
        )
    };
}

/// Goes on to the next tile, or returns.
macro_rules! end {
    () => {
        concat!(
            "sw a3, 56(a4)\n",
            "sw a5, 60(a4)\n",
            "lw a4, 4(a4)\n",
            "bne a3, a4, 2b\n",
            "lw ra, 0(sp)\n",
            "lw s0, 4(sp)\n",
            "lw s1, 8(sp)\n",
            "lw s2, 12(sp)\n",
            "lw s3, 16(sp)\n",
            "lw s4, 20(sp)\n",
            "lw s5, 24(sp)\n",
            "lw s6, 28(sp)\n",
            "lw s7, 32(sp)\n",
            "lw s8, 36(sp)\n",
            "lw s9, 40(sp)\n",
            "lw s10, 44(sp)\n",
            "lw s11, 48(sp)\n",
            "addi sp, sp, 64\n",
            "ret\n",
            ".purgem ND_WEIGHTS\n",
            ".purgem ND_BOTH\n",
        )
    };
}
pub(super) use {begin, end, store};
