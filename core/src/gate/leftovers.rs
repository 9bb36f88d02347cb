//! Timers of a debounce that outlive the burst that they were set for.
//!
//! lodash's `flush` forgets its timer but does not stop it. If the burst goes on, that timer is put off like any
//! other and closes it, sooner than the next call's own timer would: after a flush, emissions go on
//! counting from the flush. What callers see rests on this, so it is kept.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::time::Instant;

/// How many are kept. Each needs a flush of its own within one window, so a gate that is flushed more often than that differs from
/// lodash in when it emits next; what it emits is the same.
const LEFTOVERS_MAX: usize = 1_024;

/// The deadlines, in memory of their own because hardly a gate has any.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "every gate has room for it")]
pub(super) struct Leftovers {
    deadlines: Option<Box<Vec<Instant>>>,
}

impl Leftovers {
    pub(super) fn push(&mut self, deadline: Instant) {
        let deadlines = self.deadlines.get_or_insert_default();
        if deadlines.len() < LEFTOVERS_MAX {
            deadlines.push(deadline);
        }
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.deadlines.as_ref()?.iter().min().copied()
    }

    /// Takes one that is due by `now` away; whether there was one.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let Some(deadlines) = &mut self.deadlines else {
            return false;
        };
        let due = deadlines.iter().position(|deadline| *deadline <= now);
        let Some(due) = due else { return false };
        deadlines.swap_remove(due);
        if deadlines.is_empty() {
            self.deadlines = None;
        }
        true
    }
}
