//! The machines of one kind, by the numbers by which JavaScript knows them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use slab::Slab;

/// Machines by number. Numbers of freed machines are reused.
pub(crate) struct Machines<T>(UnsafeCell<Slab<T>>);

// SAFETY: without the feature `atomics` a WASM module has one thread, and nothing here leaves it.
#[cfg(not(target_feature = "atomics"))]
unsafe impl<T> Sync for Machines<T> {}

/// Whether an exported function is waiting for an imported one.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Calls an imported function. It may run a getter of a payload, which may run any code: no machine is accessible until
/// it returns.
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

    /// Adds a machine; returns its number.
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
    /// To be called by an exported function, which may use the machine until it returns, and no other machine of this
    /// kind.
    ///
    /// # Panics
    /// If no machine has the number, and while an imported function is being called.
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
    /// As of [`Machines::machine`]: then nobody else uses the contents. There is one thread, and an exported function
    /// that is called while another one waits for an imported function panics here.
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
