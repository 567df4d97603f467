//! The code that the loops over tiles share: registers, sources, and the step to the next tile.

/// Begins a loop over tiles of one output channel. A tile has 8 accumulators, in `r4` .. `r10` and `lr`. `r0` points to
/// the pixels, `r3` holds the middle tap's weight, `r11` and `r12` those of the first and the last tap, `r1` a pixel,
/// and `r2` is free. The code between `begin` and `store` is one step of the loop: one pair of channels of one source.
/// `next` is the number of bytes of pixels from one tile to the next.
macro_rules! begin {
    () => {
        concat!(
            // One input channel's weights; `at` is 0 for the pair's first channel and 2 for its second.
            ".macro ND_WEIGHTS at\n",
            "ldr r1, [sp, #12]\n",
            "movs r2, #\\at\n",
            "ldrsb r2, [r1, r2]\n",
            "mov r11, r2\n",
            "movs r2, #\\at+8\n",
            "ldrsb r2, [r1, r2]\n",
            "mov r12, r2\n",
            "movs r2, #\\at+4\n",
            "ldrsb r3, [r1, r2]\n",
            ".endm\n",
            ".macro ND_PIXEL at\n",
            "ldrh r1, [r0, #\\at]\n",
            "sxth r1, r1\n",
            ".endm\n",
            // The pixel times the first or the last tap.
            ".macro ND_OUTER weight, acc\n",
            "mov r2, \\weight\n",
            "muls r2, r1, r2\n",
            "add \\acc, r2\n",
            ".endm\n",
            // The pixel times the middle tap: its last use.
            ".macro ND_MIDDLE acc\n",
            "muls r1, r3, r1\n",
            "add \\acc, r1\n",
            ".endm\n",
            "push {{r4, r5, r6, r7, lr}}\n",
            "mov r4, r8\n",
            "mov r5, r9\n",
            "mov r6, r10\n",
            "mov r7, r11\n",
            "push {{r4, r5, r6, r7}}\n",
            // 0: the stride, 4: the arguments, 8: the source, 12: its next weights, 16: their end.
            "sub sp, #20\n",
            "ldr r1, [r0]\n",
            "str r1, [sp]\n",
            "str r0, [sp, #4]\n",
            "2:\n",
            "movs r4, #0\n",
            "movs r5, #0\n",
            "movs r6, #0\n",
            "movs r7, #0\n",
            "mov r8, r4\n",
            "mov r9, r4\n",
            "mov r10, r4\n",
            "mov lr, r4\n",
            "ldr r1, [sp, #4]\n",
            "adds r1, #8\n",
            "ldr r0, [r1]\n",
            "3:\n",
            "str r1, [sp, #8]\n",
            "movs r2, #{next}\n",
            "adds r2, r0, r2\n",
            "str r2, [r1]\n",
            "ldr r2, [r1, #4]\n",
            "str r2, [sp, #12]\n",
            "ldr r2, [r1, #8]\n",
            "str r2, [sp, #16]\n",
            "4:\n",
        )
    };
}

/// Ends a step of the loop, and ends a tile once all sources are done. `r0` points to where the accumulators go. The
/// stores stand between `store` and `end` and may use `r4` .. `r7`.
macro_rules! store {
    () => {
        concat!(
            "ldr r2, [sp]\n",
            "adds r0, r0, r2\n",
            "ldr r1, [sp, #12]\n",
            "adds r1, #12\n",
            "str r1, [sp, #12]\n",
            "ldr r2, [sp, #16]\n",
            "cmp r1, r2\n",
            "beq 5f\n",
            "b 4b\n",
            "5:\n",
            "ldr r1, [sp, #8]\n",
            "adds r1, #12\n",
            "ldr r0, [r1]\n",
            "cmp r0, #0\n",
            "beq 6f\n",
            "b 3b\n",
            "6:\n",
            "ldr r1, [sp, #4]\n",
            "ldr r0, [r1, #56]\n",
        )
    };
}

/// Goes on to the next tile, or returns.
macro_rules! end {
    () => {
        concat!(
            "str r0, [r1, #56]\n",
            "ldr r2, [r1, #4]\n",
            "cmp r0, r2\n",
            "beq 7f\n",
            "b 2b\n",
            "7:\n",
            "add sp, #20\n",
            "pop {{r4, r5, r6, r7}}\n",
            "mov r8, r4\n",
            "mov r9, r5\n",
            "mov r10, r6\n",
            "mov r11, r7\n",
            "pop {{r4, r5, r6, r7, pc}}\n",
            ".purgem ND_WEIGHTS\n",
            ".purgem ND_PIXEL\n",
            ".purgem ND_OUTER\n",
            ".purgem ND_MIDDLE\n",
        )
    };
}
pub(super) use {begin, end, store};
