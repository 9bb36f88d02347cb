//! Whether a shard has to be woken for what is handed to it.
//!
//! A shard that is awake sees by itself what came; waking it would be a system call for each command of a burst. One that
//! is about to sleep must not miss what comes meanwhile. `tests/tests/interleavings.rs` tries every order in which two threads
//! and the shard can take these steps.

use crate::atomics::{AtomicBool, AtomicUsize, Ordering};

pub(crate) struct Bell {
    /// Whether the shard is awake, or a wake-up is on its way.
    is_awake: AtomicBool,
    waiting: AtomicUsize,
}

impl Bell {
    /// The bell of a shard that is awake.
    pub(crate) fn new() -> Self {
        Self {
            is_awake: AtomicBool::new(true),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Something is about to be put where the shard looks.
    pub(crate) fn expect_one(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// It was put there. Says whether the shard is to be woken: then whoever asks has to do it.
    pub(crate) fn must_ring(&self) -> bool {
        !self.is_awake.swap(true, Ordering::AcqRel)
    }

    /// The shard is awake: it will see by itself what is put there next.
    pub(crate) fn announce_waking(&self) {
        // Reads, too, and so sees what was put there by whoever found it awake before.
        self.is_awake.swap(true, Ordering::AcqRel);
    }

    /// The shard has taken one.
    pub(crate) fn count_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether nothing waits; from then on the next one wakes the shard.
    pub(crate) fn may_sleep(&self) -> bool {
        let is_empty = || self.waiting.load(Ordering::Acquire) == 0;
        if !is_empty() {
            return false;
        }
        // Reads, too, and so sees what was announced before whoever last found the shard awake.
        self.is_awake.swap(false, Ordering::AcqRel);
        is_empty()
    }
}
