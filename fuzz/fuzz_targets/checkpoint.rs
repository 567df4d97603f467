//! Any bytes as a checkpoint: a network, tensors or an error, in memory of a few times the file's size.
//!
//! The system's allocator is counted, since what a file of a few bytes makes a reader keep would go unnoticed otherwise.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libfuzzer_sys::fuzz_target;
use nickeldime_checkpoint::{from_bytes, model::arch::Shapes, read_chosen};

/// The system's allocator, and the most that was in use at once.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    PEAK.fetch_max(USED.fetch_add(bytes, Relaxed).wrapping_add(bytes), Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    // A value for every byte or two, made for nothing but this, takes 8 times the file's size; a network's mean of w is
    // measured in half a megabyte.
    let allowed = 8 * bytes.len() + (1 << 20);
    let path = Path::new("file");
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    if let Ok(checkpoint) = from_bytes(path, bytes) {
        assert!(checkpoint.generator.tensors.values().flatten().all(|x| x.is_finite()));
    }
    let all = |shapes: &Shapes| Ok(shapes.keys().map(|name| (name.clone(), name.clone())).collect());
    let _ = read_chosen(path, bytes, all);
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    assert!(peak <= allowed, "{peak} bytes for a file of {}", bytes.len());
});
