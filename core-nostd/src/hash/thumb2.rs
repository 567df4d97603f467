//! SHA-256's compression function for Arm cores with Thumb-2.
//!
//! It computes the 48 words that follow from the block's 16, four a step; then the 64 rounds, two a step, with the eight
//! variables in registers whose names rotate. The function is naked, because a compiler's register allocation spills and
//! this loop has no register to spare.

use core::arch::naked_asm;

/// The round constants (FIPS 180-4, section 4.2.2).
#[rustfmt::skip]
static CONSTANTS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// SHA-256's compression function over whole blocks, with the same result as
/// [`compress_portable`](super::compress_portable).
pub fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    if blocks.is_empty() {
        return;
    }
    let range = blocks.as_ptr_range();
    // SAFETY: there is at least one block between the two ends.
    unsafe { rounds(state, range.start, range.end, &CONSTANTS) }
}

/// # Safety
/// There is at least one block between the two ends.
#[unsafe(naked)]
unsafe extern "C" fn rounds(state: &mut [u32; 8], block: *const [u8; 64], end: *const [u8; 64], constants: &[u32; 64]) {
    // On the stack: 64 words of the schedule; the four arguments from byte 256 on.
    //
    // The schedule: r0 reads word t - 15, r1 word t - 7, and what r1 has read lies 12 bytes before word t. x0 ..= x4 (words
    // t - 16 to t - 12) in r2 ..= r6, x4 being the next step's x0; y0 ..= y3 (words t - 7 to t - 4, then the new words) in
    // r7 ..= r10; r11, r12 and lr are free.
    //
    // The rounds: a ..= h in r4 ..= r11, r12 reads words and lr constants. r0 ..= r3 are free but for b ^ c, which one round
    // leaves in r3 and the other in r2.
    naked_asm!(
        // to = rotate(x, 7) ^ rotate(x, 18) ^ (x >> 3)
        ".macro ND_SMALL0 to, x, free",
        "eor.w \\free, \\x, \\x, ror #11",
        "lsr.w \\to, \\x, #3",
        "eor.w \\to, \\to, \\free, ror #7",
        ".endm",
        // to = rotate(x, 17) ^ rotate(x, 19) ^ (x >> 10)
        ".macro ND_SMALL1 to, x, free",
        "eor.w \\free, \\x, \\x, ror #2",
        "lsr.w \\to, \\x, #10",
        "eor.w \\to, \\to, \\free, ror #17",
        ".endm",
        // A round whose word and constant are already added to h. The first of two rounds also adds the second round's,
        // in r1, to its h, which is the first's g.
        ".macro ND_ROUND a, b, c, d, e, f, g, h, old, new",
        "eor.w r0, \\f, \\g",
        "ands r0, \\e",
        "eor.w r0, r0, \\g",
        "add \\h, r0",
        ".ifc \\old, r3",
        "add \\g, r1",
        ".endif",
        "eor.w r0, \\e, \\e, ror #5",
        "eor.w r0, r0, \\e, ror #19",
        "add.w \\h, \\h, r0, ror #6",
        "add \\d, \\h",
        "eor.w r0, \\a, \\a, ror #11",
        "eor.w r0, r0, \\a, ror #20",
        "add.w \\h, \\h, r0, ror #2",
        "eor.w \\new, \\a, \\b",
        "ands \\old, \\new",
        "eor.w \\old, \\old, \\b",
        "add \\h, \\old",
        ".endm",
        ".macro ND_TWO a, b, c, d, e, f, g, h",
        "ldrd r0, r1, [lr], #8",
        "add \\h, r0",
        "ldrd r0, r2, [r12], #8",
        "add \\h, r0",
        "add r1, r2",
        "ND_ROUND \\a, \\b, \\c, \\d, \\e, \\f, \\g, \\h, r3, r2",
        "ND_ROUND \\h, \\a, \\b, \\c, \\d, \\e, \\f, \\g, r2, r3",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #276",
        "add.w r12, sp, #256",
        "stmia.w r12, {{r0, r1, r2, r3}}",
        // Loads a block's words, whose bytes are big-endian and at any address.
        "2:",
        "mov r0, sp",
        ".rept 4",
        "ldr r2, [r1], #4",
        "ldr r3, [r1], #4",
        "ldr r4, [r1], #4",
        "ldr r5, [r1], #4",
        "rev r2, r2",
        "rev r3, r3",
        "rev r4, r4",
        "rev r5, r5",
        "stmia r0!, {{r2, r3, r4, r5}}",
        ".endr",
        "str r1, [sp, #260]",
        // The schedule.
        "ldr r2, [sp]",
        "ldrd r9, r10, [sp, #56]",
        "add.w r0, sp, #4",
        "add.w r1, sp, #36",
        "3:",
        ".rept 2",
        "ND_SMALL1 r11, r9, lr",
        "ND_SMALL1 r12, r10, lr",
        "ldmia.w r1!, {{r7, r8, r9, r10}}",
        "ldmia.w r0!, {{r3, r4, r5, r6}}",
        "add r7, r11",
        "add r8, r12",
        "add r7, r2",
        "add r8, r3",
        "add r9, r4",
        "add r10, r5",
        "ND_SMALL0 r11, r3, lr",
        "add r7, r11",
        "ND_SMALL0 r11, r4, lr",
        "add r8, r11",
        "ND_SMALL0 r11, r5, lr",
        "add r9, r11",
        "ND_SMALL0 r11, r6, lr",
        "add r10, r11",
        "mov r2, r6",
        "ND_SMALL1 r11, r7, lr",
        "add r9, r11",
        "ND_SMALL1 r11, r8, lr",
        "add r10, r11",
        "strd r7, r8, [r1, #12]",
        "strd r9, r10, [r1, #20]",
        ".endr",
        "add.w r3, sp, #196",
        "cmp r0, r3",
        "bne.w 3b",
        // The rounds.
        "ldr r0, [sp, #256]",
        "ldmia.w r0, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "ldr.w lr, [sp, #268]",
        "mov r12, sp",
        "eor.w r3, r5, r6",
        "4:",
        "ND_TWO r4, r5, r6, r7, r8, r9, r10, r11",
        "ND_TWO r10, r11, r4, r5, r6, r7, r8, r9",
        "ND_TWO r8, r9, r10, r11, r4, r5, r6, r7",
        "ND_TWO r6, r7, r8, r9, r10, r11, r4, r5",
        "add.w r0, sp, #256",
        "cmp r12, r0",
        "bne 4b",
        "ldr r0, [sp, #256]",
        "ldrd r1, r2, [r0]",
        "add r4, r1",
        "add r5, r2",
        "ldrd r1, r2, [r0, #8]",
        "add r6, r1",
        "add r7, r2",
        "ldrd r1, r2, [r0, #16]",
        "add r8, r1",
        "add r9, r2",
        "ldrd r1, r2, [r0, #24]",
        "add r10, r1",
        "add r11, r2",
        "stmia.w r0, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "ldrd r1, r2, [sp, #260]",
        "cmp r1, r2",
        "bne.w 2b",
        "add sp, #276",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_SMALL0",
        ".purgem ND_SMALL1",
        ".purgem ND_ROUND",
        ".purgem ND_TWO",
    )
}
