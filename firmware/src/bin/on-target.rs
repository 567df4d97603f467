//! Runs the pack that the emulator has put into memory and prints the images' hash, the time to the first row and to the
//! last, and how deep the stack was: what `tests/on_target.rs` compares with the host.
//!
//! Not a board's firmware: it has no line, and speaks through the emulator's semihosting.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod run {
    use core::arch::asm;
    use core::cell::UnsafeCell;
    use core::fmt::{self, Write};
    use core::ops::ControlFlow;
    use core::{ptr, slice};

    use nickeldime_core::generator::{Latent, Noise, Sample, generate};
    use nickeldime_core::pack::Pack;
    use nickeldime_core::pack::layout::PREFIX_LEN;
    use sha2::{Digest, Sha256};

    /// Where the emulator's loader has put the pack, and the number of seeds.
    const PACK: usize = 0x2100_0000;
    const SEEDS: usize = 0x21F0_0000;
    const TIMER0: usize = 0x4000_0000;
    /// Below the frame of `main`, painted before the engine runs.
    const PAINTED: usize = 64 << 10;
    const PAINT: u32 = 0x5AFE_57AC;
    const WORKSPACE: usize = 256 << 10;

    struct Ram(UnsafeCell<[i32; WORKSPACE]>);

    // SAFETY: `main` runs once, without interrupts or threads, and is the only one that looks inside.
    unsafe impl Sync for Ram {}

    static WORKSPACE_BUF: Ram = Ram(UnsafeCell::new([0; WORKSPACE]));

    /// What the run came to.
    struct Told {
        sha256: [u8; 32],
        first: u32,
        all: i64,
        workspace: usize,
    }

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let painted = paint();
        let Some(told) = images() else { fail() };
        let stack = depth(painted);
        let mut out = Semihosting;
        for byte in told.sha256 {
            let _ = write!(out, "{byte:02x}");
        }
        let _ = writeln!(out, " {} {} {stack} {}", told.first, told.all, told.workspace);
        exit(true)
    }

    /// Everything that a device does: opens the pack and makes the images. A function of its own, whose frame counts.
    #[inline(never)]
    fn images() -> Option<Told> {
        // SAFETY: the emulator's loader has put a pack and a number there before the start; nothing else uses that memory.
        let (seeds, pack) = unsafe {
            let length = Pack::stored_len(slice::from_raw_parts(PACK as *const u8, PREFIX_LEN)).ok()?;
            (ptr::read_volatile(SEEDS as *const u32), slice::from_raw_parts(PACK as *const u8, length))
        };
        // SAFETY: `main` calls this once: the only reference.
        let workspace = unsafe { &mut *WORKSPACE_BUF.0.get() };
        let pack = Pack::open(pack).ok()?;
        let workspace = workspace.get_mut(..pack.workspace_len())?;
        let mut hash = Sha256::new();
        let (mut first, mut all) = (0, 0);
        for seed in 0..u64::from(seeds) {
            let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Random(seed) };
            let started = now();
            let result = generate(&pack, &sample, workspace, &mut |y, rgb| {
                let before = now();
                if y == 0 {
                    first = started.wrapping_sub(before);
                }
                hash.update(rgb);
                // What the receiver of the rows costs is not the engine's.
                all -= i64::from(before.wrapping_sub(now()));
                ControlFlow::Continue(())
            });
            all += i64::from(started.wrapping_sub(now()));
            result.ok()?;
        }
        Some(Told { sha256: hash.finalize().into(), first, all, workspace: 4 * pack.workspace_len() })
    }

    /// Paints the stack below here; returns where the paint begins and ends.
    #[inline(never)]
    fn paint() -> (usize, usize) {
        let here: usize;
        // SAFETY: reads the stack pointer.
        unsafe { asm!("mov {}, sp", out(reg) here) };
        let top = here - 32;
        for at in (top - PAINTED..top).step_by(4) {
            // SAFETY: free stack, below everything that is in use: this loop calls nothing.
            unsafe { ptr::write_volatile(at as *mut u32, PAINT) };
        }
        (top - PAINTED, here)
    }

    /// Bytes from the deepest place where the paint is gone.
    #[inline(never)]
    fn depth((bottom, top): (usize, usize)) -> usize {
        // SAFETY: RAM of this board, below what is in use now.
        let touched = (bottom..top).step_by(4).find(|&at| unsafe { ptr::read_volatile(at as *const u32) } != PAINT);
        top - touched.unwrap_or(top)
    }

    /// CMSDK timer 0, counting down at 25 MHz from whenever it was first asked.
    fn now() -> u32 {
        // SAFETY: registers of timer 0, which nothing else here touches.
        unsafe {
            if ptr::read_volatile(TIMER0 as *const u32) == 0 {
                ptr::write_volatile((TIMER0 + 8) as *mut u32, u32::MAX);
                ptr::write_volatile((TIMER0 + 4) as *mut u32, u32::MAX);
                ptr::write_volatile(TIMER0 as *mut u32, 1);
            }
            ptr::read_volatile((TIMER0 + 4) as *const u32)
        }
    }

    /// The emulator's output.
    struct Semihosting;

    impl Write for Semihosting {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                // SYS_WRITEC takes the address of a byte.
                call(3, ptr::from_ref(&byte) as usize);
            }
            Ok(())
        }
    }

    fn call(operation: usize, argument: usize) {
        // SAFETY: a semihosting call as Arm defines it; the emulator reads the argument and changes r0.
        unsafe { asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument) };
    }

    fn exit(success: bool) -> ! {
        // SYS_EXIT: ADP_Stopped_ApplicationExit, or ADP_Stopped_RunTimeErrorUnknown.
        call(0x18, if success { 0x2_0026 } else { 0x2_0023 });
        loop {
            cortex_m::asm::wfi();
        }
    }

    fn fail() -> ! {
        exit(false)
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        fail()
    }
}

/// Built for a computer there is no emulator to speak to.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("this runs under an emulator: `cargo test -p nickeldime-core --test on_target`");
}
