//! RAM for requests, replies and the generator.

use core::cell::UnsafeCell;

use nickeldime_core::device::Buffers;

use crate::sizes::Sizes;

/// A board's buffers in a static, which are zero at first and handed out once.
pub struct Memory<const RECEIVE: usize, const SEND: usize, const LATENTS: usize, const WORKSPACE: usize> {
    workspace: UnsafeCell<[i32; WORKSPACE]>,
    latents: UnsafeCell<[i32; LATENTS]>,
    receive: UnsafeCell<[u8; RECEIVE]>,
    send: UnsafeCell<[u8; SEND]>,
}

// SAFETY: the only access is `take`, whose caller promises to be the only one.
unsafe impl<const R: usize, const S: usize, const L: usize, const W: usize> Sync for Memory<R, S, L, W> {}

impl<const R: usize, const S: usize, const L: usize, const W: usize> Memory<R, S, L, W> {
    /// Buffers of zeros.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            workspace: UnsafeCell::new([0; W]),
            latents: UnsafeCell::new([0; L]),
            receive: UnsafeCell::new([0; R]),
            send: UnsafeCell::new([0; S]),
        }
    }

    /// The buffers of a board of these sizes.
    ///
    /// # Safety
    /// Called once, because it returns the only references.
    pub unsafe fn take(&'static self, sizes: &Sizes) -> Buffers<'static> {
        // SAFETY: the caller calls this once, so each of these is the only reference to its buffer.
        unsafe {
            Buffers {
                receive: &mut *self.receive.get(),
                send: &mut *self.send.get(),
                latents: &mut *self.latents.get(),
                workspace: &mut *self.workspace.get(),
                window: sizes.window as usize,
            }
        }
    }
}

/// The [`Memory`] of a board's [`Sizes`](crate::sizes::Sizes).
#[macro_export]
macro_rules! memory {
    ($sizes:expr) => {
        $crate::memory::Memory<
            { $sizes.receive as usize },
            { $sizes.send as usize },
            { $sizes.latents as usize },
            { $sizes.workspace as usize / 4 },
        >
    };
}

/// Makes RAM stand in for flash. RAM of zeros, which flash never is as a whole, counts as power-on; after a reset the
/// model is still there.
///
/// # Safety
/// `len` bytes of RAM are at `at`, which is a multiple of 4, outside of the linker's regions; and this is called once.
#[cfg(target_os = "none")]
pub unsafe fn ram_flash<const WORD: usize, const SECTOR: usize>(
    at: usize,
    len: usize,
) -> nickeldime_core::storage::RamFlash<&'static mut [u8], WORD, SECTOR> {
    use nickeldime_core::storage::RamFlash;
    // SAFETY: as the caller promises.
    let storage = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, len) };
    let fresh = storage[..64].iter().all(|&byte| byte == 0);
    if fresh { RamFlash::erased(storage) } else { RamFlash::new(storage) }
}
