//! Timers of a debounce that outlive the burst for which they were set.
//!
//! lodash's `flush` forgets its timer but does not stop it. If the burst continues, that timer is postponed like any
//! other and closes the burst, sooner than the next call's own timer would: after a flush, emissions keep counting from
//! the flush. This behaviour is visible to callers, so it is reproduced here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::time::Instant;

/// The most timers that are kept. Each needs a separate flush within one window; a gate flushed more often than that
/// differs from lodash in when it emits next, but not in what it emits.
const LEFTOVERS_MAX: usize = 1_024;

/// The deadlines, allocated separately because hardly any gate has one.
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

    /// Removes one deadline that has passed by `now`. Returns whether there was one.
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
