//! The allocator: blocks of a hundred or so sizes, and a free list for each.
//!
//! A block keeps its size for good: nothing is split or joined. So a call costs a few instructions, and the allocator
//! has a third of a general one's code. The price is memory: up to a fifth of a block is unused, and the blocks that a
//! growing list has left behind only serve other allocations of their sizes.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;
use core::ptr::{self, null_mut};

/// Every block lies at a multiple of this.
const ALIGN: usize = 8;
/// Blocks of a stricter alignment lie at a multiple of this, a cache line, and have lists of their own.
const ALIGN_WIDE: usize = 64;
/// The smallest block: it has room for the pointer to the next free one.
const SIZE_MIN: usize = 16;
/// How many sizes there are: four between each power of two and the next.
const SIZES: usize = 4 * usize::BITS as usize;
const PAGE: usize = 64 * 1024;

/// The blocks of this memory.
pub(crate) struct Blocks(UnsafeCell<State>);

struct State {
    /// The first free block of each size. The first word of a free block points to the next one.
    free: [*mut u8; 2 * SIZES],
    /// The start of the memory that was never given out; 0 before the first call.
    unused: usize,
}

// SAFETY: without the feature `atomics` a WASM module has one thread.
#[cfg(not(target_feature = "atomics"))]
unsafe impl Sync for Blocks {}

unsafe extern "C" {
    /// The linker places it at the end of the module's static data.
    static __heap_base: u8;
}

impl Blocks {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(State {
            free: [null_mut(); 2 * SIZES],
            unused: 0,
        }))
    }
}

/// Returns the list that serves a layout of this size, and the size of that list's blocks.
const fn class(layout: Layout, size: usize) -> (usize, usize) {
    let first = if layout.align() > ALIGN { SIZES } else { 0 };
    let size = if size < SIZE_MIN { SIZE_MIN } else { size };
    let last = ((size + ALIGN - 1) & !(ALIGN - 1)) - 1;
    let exponent = last.ilog2() as usize;
    let step = exponent - 2;
    (
        first + exponent * 4 + ((last >> step) & 3),
        ((last >> step) + 1) << step,
    )
}

/// Checked at compile time: a block is at least as large as asked for, and blocks aligned to cache lines share no list
/// with others.
const _: () = {
    let mut size = 1;
    while size <= 4096 {
        let plain = class(layout(size, ALIGN), size);
        let wide = class(layout(size, ALIGN_WIDE), size);
        assert!(plain.1 >= size && wide.1 == plain.1);
        assert!(plain.0 < SIZES && wide.0 == plain.0 + SIZES);
        size += 1;
    }
};

const fn layout(size: usize, align: usize) -> Layout {
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("small sizes and powers of two make layouts"),
    }
}

impl State {
    fn take_unused(&mut self, size: usize, align: usize) -> *mut u8 {
        if self.unused == 0 {
            self.unused = &raw const __heap_base as usize;
        }
        let block = self.unused.next_multiple_of(align);
        let Some(end) = block.checked_add(size) else {
            return null_mut();
        };
        let pages = memory_size(0);
        let missing = end.saturating_sub(pages * PAGE);
        // Memory grows in large steps: each growth may make the JavaScript engine collect garbage.
        if missing > 0 && memory_grow(0, missing.div_ceil(PAGE).max(pages / 8)) == usize::MAX {
            return null_mut();
        }
        self.unused = end;
        block as *mut u8
    }
}

// SAFETY: a block is given out only once until it is freed; blocks do not overlap, are as large as asked for, and are
// aligned as their lists say.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN_WIDE || layout.size() > isize::MAX as usize / 2 {
            return null_mut();
        }
        let (list, size) = class(layout, layout.size());
        // SAFETY: nothing else refers to the state: no call of this allocator makes another one.
        let state = unsafe { &mut *self.0.get() };
        let block = state.free[list];
        if block.is_null() {
            let align = if list < SIZES { ALIGN } else { ALIGN_WIDE };
            return state.take_unused(size, align);
        }
        // SAFETY: the first word of a free block points to the next one, as `dealloc` has written it.
        state.free[list] = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (list, _) = class(layout, layout.size());
        // SAFETY: as in `alloc`; the block is given back, and has room for a word.
        unsafe {
            let state = &mut *self.0.get();
            block.cast::<*mut u8>().write(state.free[list]);
            state.free[list] = block;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size_new: usize) -> *mut u8 {
        if class(layout, layout.size()) == class(layout, size_new) {
            return block;
        }
        // SAFETY: the caller upholds the contract of `realloc`, which includes those of these calls.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size_new, layout.align()));
            if !other.is_null() {
                ptr::copy_nonoverlapping(block, other, layout.size().min(size_new));
                self.dealloc(block, layout);
            }
            other
        }
    }
}
