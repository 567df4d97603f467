//! Blocks of the counter-based generator, in the order of their positions.

use core::arch::naked_asm;

use crate::kernel::portable;

/// Arguments of [`blocks`].
#[repr(C)]
struct Blocks {
    out: *mut [u32; 2],
    out_end: *mut [u32; 2],
    first: u32,
    stream: u32,
    key: [u32; 2],
}

/// Gives the same result as [`portable::random_row`].
pub fn random_row(key: [u32; 2], stream: u32, first: u32, out: &mut [[u32; 2]]) {
    if out.is_empty() {
        return portable::random_row(key, stream, first, out);
    }
    let range = out.as_mut_ptr_range();
    // SAFETY: `out` has at least one block.
    unsafe { blocks(&Blocks { out: range.start, out_end: range.end, first, stream, key }) }
}

/// # Safety
/// At least one block lies between the two ends.
#[unsafe(naked)]
unsafe extern "C" fn blocks(arguments: &Blocks) {
    // Threefry-2x32, 20 rounds. r0 out, r1 its end, r2 counter; a in r3, b in r12; the key schedule in r4 ..= r6 (k0, k1,
    // k2), and with the injections' numbers in r7 ..= r11 (k2 + 1, k0 + 2, k1 + 3, k2 + 4, k0 + 5); lr k1 + stream.
    naked_asm!(
        cpu!(),
        ".macro ND_ROUND ror",
        "add r3, r12",
        "eor.w r12, r3, r12, ror #\\ror",
        ".endm",
        ".macro ND_EVEN x, y",
        "ND_ROUND 19",
        "ND_ROUND 17",
        "ND_ROUND 6",
        "ND_ROUND 26",
        "add r3, \\x",
        "add r12, \\y",
        ".endm",
        ".macro ND_ODD x, y",
        "ND_ROUND 15",
        "ND_ROUND 3",
        "ND_ROUND 16",
        "ND_ROUND 8",
        "add r3, \\x",
        "add r12, \\y",
        ".endm",
        "push.w {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5}}",
        "movw r6, #0x1BDA",
        "movt r6, #0x1BD1",
        "eors r6, r4",
        "eors r6, r5",
        "adds r7, r6, #1",
        "add.w r8, r4, #2",
        "add.w r9, r5, #3",
        "add.w r10, r6, #4",
        "add.w r11, r4, #5",
        "add.w lr, r5, r3",
        "2:",
        "adds r3, r2, r4",
        "mov r12, lr",
        "ND_EVEN r5, r7",
        "ND_ODD r6, r8",
        "ND_EVEN r4, r9",
        "ND_ODD r5, r10",
        "ND_EVEN r6, r11",
        "strd r3, r12, [r0], #8",
        "adds r2, #1",
        "cmp r0, r1",
        "bne 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem ND_ROUND",
        ".purgem ND_EVEN",
        ".purgem ND_ODD",
    )
}
