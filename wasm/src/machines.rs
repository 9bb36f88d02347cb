//! The machines of one kind, by the numbers that JavaScript has for them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use slab::Slab;

/// Machines, under numbers that are given again once they are free.
pub(crate) struct Machines<T>(UnsafeCell<Slab<T>>);

// SAFETY: without the feature `atomics` a WASM module has one thread, and nothing here leaves it.
#[cfg(not(target_feature = "atomics"))]
unsafe impl<T> Sync for Machines<T> {}

/// Whether an exported function waits for JavaScript to answer.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Asks JavaScript something. A payload may have a getter, which runs any code: no machine can be had until it is answered.
pub(crate) fn ask<R>(question: impl FnOnce() -> R) -> R {
    IS_ASKING.store(true, Relaxed);
    let answer = question();
    IS_ASKING.store(false, Relaxed);
    answer
}

impl<T> Machines<T> {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Slab::new()))
    }

    /// Takes a machine in; returns its number.
    ///
    /// # Safety
    /// As of [`Machines::machine`].
    pub(crate) unsafe fn add(&self, machine: T) -> u32 {
        // SAFETY: what the caller promises.
        let number = unsafe { self.all() }.insert(machine);
        u32::try_from(number).expect("fewer than 2^32 fit into this memory")
    }

    /// Frees what a machine holds; its number may be given again.
    ///
    /// # Safety
    /// As of [`Machines::machine`].
    pub(crate) unsafe fn free(&self, number: u32) {
        // SAFETY: what the caller promises.
        unsafe { self.all() }.try_remove(number as usize);
    }

    /// The machine with a number.
    ///
    /// # Safety
    /// To be called by an exported function, which uses the machine until it returns, and no other one of this kind.
    ///
    /// # Panics
    /// When no machine has the number, and while JavaScript is asked something.
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that it is the only one"
    )]
    pub(crate) unsafe fn machine(&self, number: u32) -> &mut T {
        // SAFETY: what the caller promises.
        let machines = unsafe { self.all() };
        &mut machines[number as usize]
    }

    /// # Safety
    /// As of [`Machines::machine`]: then nobody has what is in here. There is one thread, and an exported function that
    /// is called by what another one asks gets no further than this.
    #[inline(never)]
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that it is the only one"
    )]
    unsafe fn all(&self) -> &mut Slab<T> {
        assert!(!IS_ASKING.load(Relaxed), "a payload called back");
        // SAFETY: what the caller promises.
        unsafe { &mut *self.0.get() }
    }
}
