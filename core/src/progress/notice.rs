//! What is published about a piece of work.

use alloc::collections::BTreeMap;

use serde::Serialize;

use super::COUNT_MAX;
use super::snapshot::Snapshot;
use crate::lifecycle::EndReason;
use crate::presence::Key;
use crate::publication::Combine;

/// Something to publish; each kind has a pace of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What was done, published by the node where it was done. Subscribers that conflate by `sum` get totals.
    Done(Done),
    /// How far the work is.
    Progress(Snapshot),
    /// How many are working.
    Users {
        /// How many.
        active: u64,
    },
    /// How much is waiting.
    Queue {
        /// The amount that was queued and is not done yet.
        queued: u64,
        /// What is left of the target, or else of what was queued.
        remaining: Option<u64>,
    },
    /// The last progress: the work is over.
    Ended(Snapshot, EndReason),
}

/// The amounts that sessions have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The total amount.
    pub done: u64,
    /// The amount of each session.
    pub by: BTreeMap<Key, u64>,
}

impl Done {
    pub(super) fn new(session: Key, count: u64) -> Self {
        Self {
            done: count,
            by: BTreeMap::from([(session, count)]),
        }
    }
}

impl Combine for Done {
    fn merge_over(self, older: &Self) -> Self {
        self.add_to(older)
    }

    fn add_to(mut self, older: &Self) -> Self {
        self.done = self.done.saturating_add(older.done).min(COUNT_MAX);
        for (session, count) in &older.by {
            let sum = self.by.entry(session.clone()).or_default();
            *sum = sum.saturating_add(*count).min(COUNT_MAX);
        }
        self
    }
}

/// A mere signal that something has changed; the current value is read when it is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed;

impl Combine for Changed {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, _older: &Self) -> Self {
        self
    }
}
