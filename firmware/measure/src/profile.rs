//! Finds where the instructions go, by sampling the program counter at regular ticks.

use core::arch::naked_asm;
use core::fmt::Write;
use core::sync::atomic::{AtomicU16, Ordering};

use nickeldime_measure::Machine;

use crate::machine::Out;

/// Ticks between two samples: a prime, so that no loop runs in step with it.
const EVERY: u32 = Machine::HERE.profile.expect("an Arm machine has a profile");
/// Number of bytes of code that share a counter.
const GRAIN: usize = 4;
/// Number of counters, enough for 256 kB of code.
const COUNTERS: usize = (256 << 10) / GRAIN;

static COUNTS: [AtomicU16; COUNTERS] = [const { AtomicU16::new(0) }; COUNTERS];

/// Addresses of SysTick's control, reload and current value.
const SYST: [usize; 3] = [0xE000_E010, 0xE000_E014, 0xE000_E018];

fn set(register: usize, value: u32) {
    // SAFETY: a register of SysTick, which nothing else here uses.
    unsafe { core::ptr::write_volatile(register as *mut u32, value) };
}

/// Starts sampling.
fn start() {
    set(SYST[1], EVERY - 1);
    set(SYST[2], 0);
    // Counts at the processor's 25 MHz and raises the interrupt.
    set(SYST[0], 0b111);
}

/// Stops sampling.
fn stop() {
    set(SYST[0], 0);
}

/// Prints `address looks` for every address at which the program counter was seen during the last part of `work`, which
/// calls its argument when that part begins.
pub fn run(work: impl FnOnce(fn()) -> Option<()>) -> Option<()> {
    let done = work(start);
    stop();
    done?;
    for (index, count) in COUNTS.iter().enumerate() {
        let count = count.load(Ordering::Relaxed);
        if count > 0 {
            writeln!(Out, "{:x} {count}", index * GRAIN).ok()?;
        }
    }
    Some(())
}

extern "C" fn seen(at: usize) {
    if let Some(count) = COUNTS.get(at / GRAIN) {
        count.store(count.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }
}

/// The interrupt handler. The processor has saved the interrupted address on the stack.
///
/// # Safety
/// Only the vector table may call it.
// SAFETY: the name is the vector's in cortex-m-rt's table.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn SysTick() {
    // r0 .. r3, r12, lr, pc, psr: as the exception left them; `seen` returns from it.
    // A branch of Armv6-M does not reach as far as the linker may put it.
    naked_asm!("ldr r0, [sp, #24]", "ldr r1, 2f", "bx r1", ".p2align 2", "2:", ".word {seen}", seen = sym seen)
}
