//! Decides whether a shard has to be woken when it is handed something.
//!
//! A shard that is awake finds what arrived by itself; waking it would cost a system call for each command of a burst. A shard
//! that is about to sleep must not miss what arrives meanwhile. `tests/tests/interleavings.rs` tries every order in which two
//! threads and the shard can take these steps.

use crate::atomics::{AtomicBool, AtomicUsize, Ordering};

pub(crate) struct Bell {
    /// Whether the shard is awake, or a wake-up is on its way.
    is_awake: AtomicBool,
    waiting: AtomicUsize,
}

impl Bell {
    /// A bell for a shard that is awake.
    pub(crate) fn new() -> Self {
        Self {
            is_awake: AtomicBool::new(true),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Must be called before something is put into the shard's queue.
    pub(crate) fn expect_one(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// Must be called after it was put there. If this returns true, the caller has to wake the shard.
    pub(crate) fn must_ring(&self) -> bool {
        !self.is_awake.swap(true, Ordering::AcqRel)
    }

    /// The shard is awake, and will find by itself what is queued next.
    pub(crate) fn announce_waking(&self) {
        // A swap, because it also reads: so the shard sees what was queued by senders that found it awake before.
        self.is_awake.swap(true, Ordering::AcqRel);
    }

    /// The shard has taken one from its queue.
    pub(crate) fn count_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns whether the queue is empty. If it is, the next sender wakes the shard.
    pub(crate) fn may_sleep(&self) -> bool {
        let is_empty = || self.waiting.load(Ordering::Acquire) == 0;
        if !is_empty() {
            return false;
        }
        // A swap, because it also reads: so this sees what was counted by senders that found the shard awake before.
        self.is_awake.swap(false, Ordering::AcqRel);
        is_empty()
    }
}
