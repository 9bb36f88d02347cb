//! Timers of a debounce that outlive the burst that they were set for.
//!
//! lodash's `flush` forgets its timer but does not stop it. If the burst goes on, that timer is put off like any
//! other and closes it, sooner than the next call's own timer would: after a flush, emissions go on
//! counting from the flush. What callers see rests on this, so it is kept.

use alloc::boxed::Box;

use crate::time::Instant;

/// How many are kept. Each needs a flush of its own within one burst; one more is not kept, which
/// loses nothing: what was pending has been flushed, and the next value sets a timer.
const LEFTOVERS_MAX: usize = 4;

/// The deadlines, in memory of their own because hardly a gate has any.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    deadlines: Option<Box<[Option<Instant>; LEFTOVERS_MAX]>>,
}

impl Leftovers {
    pub(super) fn push(&mut self, deadline: Instant) {
        let deadlines = self.deadlines.get_or_insert_default();
        if let Some(free) = deadlines.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(deadline);
        }
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.deadlines.as_ref()?.iter().flatten().min().copied()
    }

    /// Takes one that is due by `now` away; whether there was one.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let Some(deadlines) = &mut self.deadlines else {
            return false;
        };
        let due = deadlines
            .iter_mut()
            .find(|slot| slot.is_some_and(|deadline| deadline <= now));
        let Some(due) = due else { return false };
        *due = None;
        if deadlines.iter().all(Option::is_none) {
            self.deadlines = None;
        }
        true
    }
}
