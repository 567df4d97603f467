//! The note that a panic leaves in RAM for the next start. It says in which code the panic happened.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;

/// The longest note in bytes. A hello has room for it.
const MOST: usize = 48;
const MARK: u32 = 0x4E44_4E4F;

#[derive(Clone, Copy)]
#[repr(C)]
struct Kept {
    mark: u32,
    len: u32,
    text: [u8; MOST],
    sum: u32,
}

impl Kept {
    /// Returns the text, or `None` if the RAM holds something else, as after power-on.
    fn text(&self) -> Option<&str> {
        let text = self.text.get(..self.len as usize).filter(|text| self.mark == MARK && self.sum == sum(text))?;
        core::str::from_utf8(text).ok()
    }
}

fn sum(text: &[u8]) -> u32 {
    text.iter().fold(MARK, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte))
}

struct Note(UnsafeCell<MaybeUninit<Kept>>);

// SAFETY: `load` reads it at the start and `store` writes it at the end, each while nothing else runs.
unsafe impl Sync for Note {}

/// The note lies in RAM that the runtime does not initialise.
#[cfg_attr(target_os = "none", unsafe(link_section = ".uninit.note"))]
static NOTE: Note = Note(UnsafeCell::new(MaybeUninit::uninit()));

/// Stores that a panic happened, with the return addresses on the stack, innermost first. The first one or two lie in the
/// panic's own code. Source files and lines would make the firmware a tenth larger.
///
/// # Safety
/// Nothing else runs from now on.
pub unsafe fn store() {
    let mut kept = Kept { mark: MARK, len: 0, text: [0; MOST], sum: 0 };
    let mut add = |byte: u8| {
        if let Some(place) = kept.text.get_mut(kept.len as usize) {
            *place = byte;
            kept.len += 1;
        }
    };
    b"a panic".iter().for_each(|&byte| add(byte));
    // SAFETY: the caller is the panic handler, and this function is a part of it.
    for address in unsafe { callers() }.into_iter().filter(|&address| address != 0) {
        b" ".iter().for_each(|&byte| add(byte));
        for shift in (0..8).rev() {
            add(b"0123456789abcdef"[(address >> (4 * shift) & 15) as usize]);
        }
    }
    kept.sum = sum(kept.text.get(..kept.len as usize).unwrap_or_default());
    // SAFETY: the caller's promise; the program ends, but the memory is read by the next one.
    unsafe { ptr::write_volatile(NOTE.0.get(), MaybeUninit::new(kept)) };
}

/// The number of addresses that a note has room for.
const CALLERS: usize = 4;

/// Return addresses, found by the frame pointers that every Thumb function keeps in r7.
///
/// # Safety
/// Called from Rust code, on the stack that the compiler has laid out.
#[cfg(target_arch = "arm")]
#[inline(always)]
unsafe fn callers() -> [u32; CALLERS] {
    let mut frame: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, r7", out(reg) frame) };
    let mut found = [0; CALLERS];
    for place in &mut found {
        // SAFETY: a frame begins with the caller's frame pointer and the return address.
        let (before, back) =
            unsafe { (ptr::read_volatile(frame as *const usize), ptr::read_volatile((frame + 4) as *const u32)) };
        *place = back & !1;
        // Frames lie one above the other, and the outermost one has none above it.
        if before <= frame || before - frame > 1 << 16 || before % 4 != 0 {
            break;
        }
        frame = before;
    }
    found
}

/// Returns no addresses: this processor's code keeps no frame pointers.
///
/// # Safety
/// None is needed.
#[cfg(not(target_arch = "arm"))]
unsafe fn callers() -> [u32; CALLERS] {
    [0; CALLERS]
}

/// Returns the note that the last panic stored, and clears it.
///
/// # Safety
/// Called once, before anything else runs.
pub unsafe fn load() -> Option<&'static str> {
    let note = NOTE.0.get();
    // SAFETY: the caller's promise. Every pattern of bits is a `Kept`; the linker has put it into RAM that there is.
    unsafe {
        // The read is volatile, because another run has written the memory and the compiler does not know of it.
        let kept = ptr::read_volatile(note.cast::<Kept>());
        ptr::write_volatile(note, MaybeUninit::new(Kept { mark: 0, ..kept }));
        kept.text()?;
        // Only the mark was cleared, so the text is still valid.
        core::str::from_utf8((&raw const (*note.cast::<Kept>()).text).as_ref()?.get(..kept.len as usize)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_nobody_wrote_is_none() {
        let text = *b"a panic at x.rs:7...............................";
        let good = Kept { mark: MARK, len: 17, text, sum: sum(b"a panic at x.rs:7") };
        assert_eq!(good.text(), Some("a panic at x.rs:7"));
        for bad in [
            Kept { mark: 0, ..good },
            Kept { len: 18, ..good },
            Kept { len: u32::MAX, ..good },
            Kept { sum: 0, ..good },
        ] {
            assert_eq!(bad.text(), None);
        }
    }
}
