//! An allocator that costs the same wherever this runs: it gives memory out and takes none back.
//!
//! The system's own would add its instructions, which differ between versions of the C library, and so hide
//! small changes of the core behind changes of the system. How many allocations there are is counted instead.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How much is asked of the system at a time, in bytes.
const CHUNK: usize = 64 << 20;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

struct Forward;

#[global_allocator]
static ALLOCATOR: Forward = Forward;

/// How many allocations there were so far.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

// SAFETY: a block lies in a chunk of the system's and overlaps no other: `NEXT` only rises, and this program has
// one thread. Blocks stay valid, since nothing is given back.
unsafe impl GlobalAlloc for Forward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let mut start = NEXT
            .load(Ordering::Relaxed)
            .next_multiple_of(layout.align());
        if start + layout.size() > END.load(Ordering::Relaxed) {
            let bytes = CHUNK.max(layout.size() + layout.align());
            // SAFETY: the size is not zero.
            let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(bytes, 16)) };
            if chunk.is_null() {
                return chunk;
            }
            END.store(chunk.expose_provenance() + bytes, Ordering::Relaxed);
            start = chunk.addr().next_multiple_of(layout.align());
        }
        NEXT.store(start + layout.size(), Ordering::Relaxed);
        std::ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}
