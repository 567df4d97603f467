//! Blocks of the counter-based generator, four at a time, in the order of their positions.

use core::arch::naked_asm;

use crate::kernel::portable;

/// Arguments of [`blocks`].
#[repr(C)]
struct Blocks {
    out: *mut [u32; 2],
    first: u32,
    stream: u32,
    /// Number of rounds, of four blocks each.
    count: usize,
    key: [u32; 2],
}

/// Gives the same result as [`portable::random_row`].
pub fn random_row(key: [u32; 2], stream: u32, first: u32, out: &mut [[u32; 2]]) {
    let whole = out.len() - out.len() % 4;
    if whole > 0 {
        // SAFETY: `out` has `whole` blocks, a multiple of 4 above 0.
        unsafe { blocks(&Blocks { out: out.as_mut_ptr(), first, stream, count: whole / 4, key }) }
    }
    portable::random_row(key, stream, first.wrapping_add(whole as u32), out.get_mut(whole..).unwrap_or_default());
}

/// # Safety
/// There are `count` times four blocks, at least four.
#[unsafe(naked)]
unsafe extern "C" fn blocks(arguments: &Blocks) {
    // Threefry-2x32, 20 rounds. r0 out, r1 and q3 counters, r2 k1 + stream, lr rounds; a in q0, b in q1, q2 a rotation; the key
    // schedule in r4 ..= r6 (k0, k1, k2), and with the injections' numbers in r7 ..= r11 (k2 + 1, k0 + 2, k1 + 3, k2 + 4, k0 + 5).
    naked_asm!(
        cpu!(),
        ".macro NM_ROUND left, right",
        "vadd.i32 q0, q0, q1",
        "vshl.i32 q2, q1, #\\left",
        "vsri.32 q2, q1, #\\right",
        "veor q1, q2, q0",
        ".endm",
        ".macro NM_EVEN x, y",
        "NM_ROUND 13, 19",
        "NM_ROUND 15, 17",
        "NM_ROUND 26, 6",
        "NM_ROUND 6, 26",
        "vadd.i32 q0, q0, \\x",
        "vadd.i32 q1, q1, \\y",
        ".endm",
        ".macro NM_ODD x, y",
        "NM_ROUND 17, 15",
        "NM_ROUND 29, 3",
        "NM_ROUND 16, 16",
        "NM_ROUND 24, 8",
        "vadd.i32 q0, q0, \\x",
        "vadd.i32 q1, q1, \\y",
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
        "add r2, r5",
        "mov r12, r1",
        "dls lr, r3",
        "2:",
        "vidup.u32 q3, r12, #1",
        "vdup.32 q1, r2",
        "vadd.i32 q0, q3, r4",
        "NM_EVEN r5, r7",
        "NM_ODD r6, r8",
        "NM_EVEN r4, r9",
        "NM_ODD r5, r10",
        "NM_EVEN r6, r11",
        "vst20.32 {{q0, q1}}, [r0]",
        "vst21.32 {{q0, q1}}, [r0]!",
        "le lr, 2b",
        "pop.w {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem NM_ROUND",
        ".purgem NM_EVEN",
        ".purgem NM_ODD",
    )
}
