//! A queue that passes bytes from an interrupt to the program.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A queue with one writer and one reader, neither of which ever waits. It holds `N - 1` bytes. Bytes beyond that are
/// lost, which the link's checksums detect.
pub struct Ring<const N: usize> {
    bytes: UnsafeCell<[u8; N]>,
    read: AtomicUsize,
    written: AtomicUsize,
}

// SAFETY: the writer alone touches the bytes from `written` on, the reader alone those before it; each index is changed
// by one of them, after it is done with the byte.
unsafe impl<const N: usize> Sync for Ring<N> {}

impl<const N: usize> Ring<N> {
    /// An empty queue.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; N]), read: AtomicUsize::new(0), written: AtomicUsize::new(0) }
    }

    /// Adds a byte. Returns false if there is no room.
    ///
    /// # Safety
    /// Called from only one place, which does not interrupt itself.
    pub unsafe fn push(&self, byte: u8) -> bool {
        let at = self.written.load(Ordering::Relaxed);
        let next = (at + 1) % N;
        if next == self.read.load(Ordering::Acquire) {
            return false;
        }
        // SAFETY: this place is the writer's until the index moves on, and `at` is below N.
        unsafe { self.bytes.get().cast::<u8>().add(at).write(byte) };
        self.written.store(next, Ordering::Release);
        true
    }

    /// Takes the oldest byte.
    ///
    /// # Safety
    /// Called from only one place, which does not interrupt itself.
    pub unsafe fn pop(&self) -> Option<u8> {
        let at = self.read.load(Ordering::Relaxed);
        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: this place is the reader's until the index moves on, and `at` is below N.
        let byte = unsafe { self.bytes.get().cast::<u8>().add(at).read() };
        self.read.store((at + 1) % N, Ordering::Release);
        Some(byte)
    }

    /// Number of bytes that the writer could add.
    pub fn room(&self) -> usize {
        let (read, written) = (self.read.load(Ordering::Acquire), self.written.load(Ordering::Relaxed));
        (read + N - written - 1) % N
    }

    /// True if the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.read.load(Ordering::Relaxed) == self.written.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn bytes_come_out_as_they_went_in_and_a_full_ring_loses_the_newest() {
        let ring = Ring::<4>::new();
        // SAFETY: one thread is the only writer and the only reader.
        unsafe {
            for round in 0..9 {
                assert!(ring.is_empty() && ring.pop().is_none() && ring.room() == 3);
                assert_eq!([0, 1, 2, 3].map(|i| ring.push(round + i)), [true, true, true, false]);
                assert_eq!(ring.room(), 0);
                assert_eq!([(); 4].map(|()| ring.pop()), [Some(round), Some(round + 1), Some(round + 2), None]);
            }
        }
    }

    #[test]
    fn two_threads_lose_nothing_that_was_taken() {
        static RING: Ring<7> = Ring::new();
        let writer = std::thread::spawn(|| {
            for byte in 0..20_000u32 {
                // SAFETY: the only writer.
                while !unsafe { RING.push(byte as u8) } {
                    std::thread::yield_now();
                }
            }
        });
        for expected in 0..20_000u32 {
            // SAFETY: the only reader.
            let byte = loop {
                match unsafe { RING.pop() } {
                    Some(byte) => break byte,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(byte, expected as u8);
        }
        writer.join().unwrap();
    }
}
