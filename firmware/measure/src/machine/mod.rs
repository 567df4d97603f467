//! The emulated machine: the loader's request and data, the clock, the stack, and the exit.

use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::{ptr, slice};

use nickeldime_core::kernel::threefry;
use nickeldime_core::pack::Pack;
use nickeldime_core::pack::layout::PREFIX_LEN;
use nickeldime_measure::{Job, Machine};

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod processor;

pub use processor::now;
use processor::{call, stack_pointer};

/// The addresses of the job's data and of the request, which the emulator's loader has filled.
const DATA: usize = Machine::HERE.data as usize;
const REQUEST: usize = Machine::HERE.request as usize;
/// Bytes of stack below the painter's frame that are painted before the engine runs.
const PAINTED: usize = 64 << 10;
const PAINT: u32 = 0x5AFE_57AC;

/// The request to the program.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The job; `None` if its number is unknown.
    pub job: Option<Job>,
    /// The job's count.
    pub count: u32,
}

/// Reads the loader's request.
pub fn request() -> Request {
    // SAFETY: the emulator's loader has put two words there; RAM of this board.
    let word = |at: usize| unsafe { ptr::read_volatile((REQUEST + 4 * at) as *const u32) };
    Request { job: Job::from_number(word(0)), count: word(1) }
}

/// The loader's pack, which has not been verified.
pub fn pack() -> Option<&'static [u8]> {
    // SAFETY: RAM of this board, which the loader has filled and nothing else uses.
    let prefix = unsafe { slice::from_raw_parts(DATA as *const u8, PREFIX_LEN) };
    let length = Pack::stored_len(prefix).ok()?;
    // SAFETY: as above; a length beyond the loaded bytes reads zeros, and the pack does not verify.
    (length < REQUEST - DATA).then(|| unsafe { slice::from_raw_parts(DATA as *const u8, length) })
}

/// The buffer that jobs work in.
struct Ram(UnsafeCell<[i32; Self::LEN]>);

impl Ram {
    const LEN: usize = 256 << 10;
}

// SAFETY: one thread, and only `workspace` hands it out.
unsafe impl Sync for Ram {}

static WORKSPACE: Ram = Ram(UnsafeCell::new([0; Ram::LEN]));

/// All the memory for a job.
///
/// # Safety
/// Called by one job, once.
pub unsafe fn workspace() -> &'static mut [i32] {
    // SAFETY: the caller's promise.
    unsafe { &mut *WORKSPACE.0.get() }
}

/// The painted part of the stack.
#[derive(Debug, Clone, Copy)]
pub struct Painted {
    bottom: usize,
    top: usize,
}

/// Paints the stack below this function's frame.
#[inline(never)]
pub fn paint() -> Painted {
    let here = stack_pointer();
    let top = here - 32;
    for at in (top - PAINTED..top).step_by(4) {
        // SAFETY: free stack, below everything that is in use: this loop calls nothing.
        unsafe { ptr::write_volatile(at as *mut u32, PAINT) };
    }
    Painted { bottom: top - PAINTED, top: here }
}

/// Bytes from the deepest changed place of the paint to its top.
#[inline(never)]
pub fn depth(Painted { bottom, top }: Painted) -> usize {
    // SAFETY: RAM of this board, below what is in use now.
    let touched = (bottom..top).step_by(4).find(|&at| unsafe { ptr::read_volatile(at as *const u32) } != PAINT);
    top - touched.unwrap_or(top)
}

/// Ticks since `start`.
pub fn since(start: u32) -> u32 {
    now().wrapping_sub(start)
}

/// The loader's flash, with `len` bytes.
///
/// # Safety
/// Called by one job, once.
pub unsafe fn flash(len: u32) -> Option<&'static mut [u8]> {
    let len = usize::try_from(len).ok().filter(|&len| len <= REQUEST - DATA)?;
    // SAFETY: RAM of this machine, which the loader has filled and, by the caller's promise, nothing else uses.
    Some(unsafe { slice::from_raw_parts_mut(DATA as *mut u8, len) })
}

/// The emulator's standard output.
pub struct Out;

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SYS_WRITEC takes the address of a byte.
            call(3, ptr::from_ref(&byte) as usize);
        }
        Ok(())
    }
}

/// Ends the emulator with success or failure.
pub fn exit(success: bool) -> ! {
    // SYS_EXIT: ADP_Stopped_ApplicationExit, or ADP_Stopped_RunTimeErrorUnknown.
    call(0x18, if success { 0x2_0026 } else { 0x2_0023 });
    loop {
        core::hint::spin_loop();
    }
}

/// Splits arrays off the front of a buffer, one after the other.
pub struct Carve<'w>(&'w mut [i32]);

impl<'w> Carve<'w> {
    /// Starts with a whole buffer.
    pub fn new(buffer: &'w mut [i32]) -> Self {
        Self(buffer)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'w mut [i32] {
        self.0
    }

    /// `len` values of 32 bits.
    pub fn words(&mut self, len: usize) -> Option<&'w mut [i32]> {
        let (part, rest) = core::mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(part)
    }

    /// `len` values of 16 bits.
    pub fn halves(&mut self, len: usize) -> Option<&'w mut [i16]> {
        bytemuck::cast_slice_mut(self.words(len.div_ceil(2))?).get_mut(..len)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'w mut [i8]> {
        bytemuck::cast_slice_mut(self.words(len.div_ceil(4))?).get_mut(..len)
    }
}

/// A stream of random words.
pub struct Random {
    seed: u32,
    position: u32,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u32) -> Self {
        Self { seed, position: 0 }
    }

    /// A random word.
    pub fn word(&mut self) -> u32 {
        self.position += 1;
        threefry([self.seed, 0xBE7C], [self.position, 0])[0]
    }

    /// A random number in `-limit ..= limit`.
    pub fn signed(&mut self, limit: i32) -> i32 {
        (self.word() % (2 * limit as u32 + 1)) as i32 - limit
    }
}
