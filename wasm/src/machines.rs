//! The machines of one kind, by the numbers that JavaScript has for them.

use core::cell::UnsafeCell;

use slab::Slab;

/// Machines, under numbers that are given again once they are free.
pub(crate) struct Machines<T>(UnsafeCell<Slab<T>>);

// SAFETY: without the feature `atomics` a WASM module has one thread, and nothing here leaves it.
#[cfg(not(target_feature = "atomics"))]
unsafe impl<T> Sync for Machines<T> {}

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
        let machines = unsafe { &mut *self.0.get() };
        u32::try_from(machines.insert(machine)).expect("fewer than 2^32 fit into this memory")
    }

    /// Frees what a machine holds; its number may be given again.
    ///
    /// # Safety
    /// As of [`Machines::machine`].
    pub(crate) unsafe fn free(&self, number: u32) {
        // SAFETY: what the caller promises.
        let machines = unsafe { &mut *self.0.get() };
        machines.try_remove(number as usize);
    }

    /// The machine with a number.
    ///
    /// # Safety
    /// No machine of this kind must be in use. An exported function may use one until it returns: there is one thread, and what
    /// is imported from JavaScript calls nothing that is exported.
    ///
    /// # Panics
    /// When no machine has the number.
    #[inline(never)]
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that it is the only one"
    )]
    pub(crate) unsafe fn machine(&self, number: u32) -> &mut T {
        // SAFETY: what the caller promises.
        let machines = unsafe { &mut *self.0.get() };
        &mut machines[number as usize]
    }
}
