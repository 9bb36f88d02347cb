//! State of the whole module.

use core::cell::{RefCell, RefMut};

/// A global value. Unlike `thread_local!`, it needs no standard library.
pub(crate) struct Single<T>(RefCell<T>);

// SAFETY: without the feature `atomics` a WASM module has one thread, and nothing here leaves it.
#[cfg(not(target_feature = "atomics"))]
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Borrows the value, which must not be borrowed already.
    pub(crate) fn borrow(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }
}
