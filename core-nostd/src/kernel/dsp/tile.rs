//! The multiply-accumulate loop of all convolutions: 4 pixels x 2 output channels.

use core::arch::naked_asm;

/// A run of input channels and taps that lie one after the other.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Segment {
    /// The first of the 4 pixels' first value.
    pub x: *const i16,
    /// The first word of weights.
    pub weights: *const i8,
}

/// What [`tile`] computes: `sum over segments, over pairs of values: w x`. All segments have the same length.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Tile {
    segments: *const Segment,
    end: *const Segment,
    /// Bytes from one of the 4 pixels to the next.
    stride: usize,
    acc: *mut [i32; 8],
    /// Bytes of x that the loop goes through in a segment.
    bytes: usize,
    /// How much of the unrolled loop its first round skips, bit 0 set as in every Thumb address.
    entry: usize,
    /// Whether a single pair is left after the loop.
    odd: usize,
}

/// Pairs of pairs in one round of the unrolled loop.
const UNROLLED: usize = 6;
/// Bytes of code for one of them: 32 instructions of 4 bytes.
const STEP: usize = 128;

impl Tile {
    /// A tile over segments of `pairs` pairs of values.
    pub fn new(stride: usize, pairs: usize) -> Self {
        let steps = pairs / 2;
        let first = steps % UNROLLED;
        // No step at all skips the whole round; a full first round skips nothing.
        let skipped = if steps > 0 && first == 0 { 0 } else { UNROLLED - first };
        Self {
            segments: core::ptr::null(),
            end: core::ptr::null(),
            stride,
            acc: core::ptr::null_mut(),
            bytes: 8 * steps,
            entry: (skipped * STEP) | 1,
            odd: pairs % 2,
        }
    }

    /// The accumulators, `[pixel][output channel]`.
    ///
    /// # Safety
    /// Every segment has `pairs` words of weights, and `pairs` pairs of values at `x + k * stride` bytes for k in 0 ..= 3,
    /// all readable. There is at least one segment.
    #[inline(always)]
    pub unsafe fn run(&mut self, segments: &[Segment], acc: &mut [i32; 8]) {
        let range = segments.as_ptr_range();
        (self.segments, self.end, self.acc) = (range.start, range.end, acc);
        // SAFETY: the caller's promise covers all that it reads; it writes `acc` and its own stack frame.
        unsafe { tile(self) }
    }
}

/// # Safety
/// As [`Tile::run`], with the pointers of the tile valid.
#[unsafe(naked)]
unsafe extern "C" fn tile(tile: &Tile) {
    // r4 ..= r11 accumulate [pixel][channel]; r0 is x, r1 the weights, r2 the stride; r12 and r3 hold one word's weights for
    // the two channels, lr two values of x. A pair of steps moves x to pixel 1 and back, for the sake of pixel 3, which no
    // addressing mode reaches from pixel 0.
    naked_asm!(
        // The assembler takes the least core of thumbv8m.main otherwise.
        #[cfg(feature = "dsp")]
        ".cpu cortex-m33",
        ".macro ND_W",
        "ldr.w r3, [r1], #4",
        "sxtb16 r12, r3, ror #8",
        "sxtb16 r3, r3",
        ".endm",
        ".macro ND_M a, b",
        "smlad \\a, r3, lr, \\a",
        "smlad \\b, r12, lr, \\b",
        ".endm",
        ".macro ND_UP",
        "ND_W",
        "ldr.w lr, [r0]",
        "ND_M r4, r5",
        "ldr.w lr, [r0, r2]",
        "ND_M r6, r7",
        "ldr.w lr, [r0, r2, lsl #1]",
        "ND_M r8, r9",
        "add.w r0, r0, r2",
        "ldr.w lr, [r0, r2, lsl #1]",
        "ND_M r10, r11",
        ".endm",
        ".macro ND_DOWN",
        "ND_W",
        "ldr.w lr, [r0, #4]!",
        "ND_M r6, r7",
        "ldr.w lr, [r0, r2]",
        "ND_M r8, r9",
        "ldr.w lr, [r0, r2, lsl #1]",
        "ND_M r10, r11",
        "sub.w r0, r0, r2",
        "ldr.w lr, [r0], #4",
        "ND_M r4, r5",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #28",
        "ldm r0, {{r1, r2, r3, r4, r5, r6, r7}}",
        "mov r12, sp",
        // 0: next segment, 4: their end, 8: acc, 12: bytes, 16: entry, 20: odd, 24: end of x.
        "strd r1, r2, [sp]",
        "strd r4, r5, [sp, #8]",
        "adr.w r12, 3f",
        "add.w r6, r6, r12",
        "strd r6, r7, [sp, #16]",
        "mov r2, r3",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov.w r8, #0",
        "mov.w r9, #0",
        "mov.w r10, #0",
        "mov.w r11, #0",
        "2:",
        "ldr.w r12, [sp]",
        "ldrd r0, r1, [r12], #8",
        "str.w r12, [sp]",
        "ldrd r3, r12, [sp, #12]",
        "add r3, r0",
        "str r3, [sp, #24]",
        "bx r12",
        ".p2align 2",
        "3:",
        ".rept 6",
        "ND_UP",
        "ND_DOWN",
        ".endr",
        "ldr r3, [sp, #24]",
        "cmp r0, r3",
        "bne.w 3b",
        "ldr r3, [sp, #20]",
        "cbz r3, 4f",
        "ND_UP",
        "4:",
        "ldrd r3, r12, [sp]",
        "cmp r3, r12",
        "bne.w 2b",
        "ldr r0, [sp, #8]",
        "stm.w r0, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "add sp, #28",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_W",
        ".purgem ND_M",
        ".purgem ND_UP",
        ".purgem ND_DOWN",
    )
}
