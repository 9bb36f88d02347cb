//! What the world is told.

use alloc::collections::BTreeMap;

use serde::Serialize;

use super::COUNT_MAX;
use super::snapshot::Snapshot;
use crate::lifecycle::EndReason;
use crate::presence::Key;
use crate::publication::Combine;

/// Something to be published, each kind at a pace of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What was done: told by the node where it was. Subscribers who conflate by `sum` have it added up.
    Done(Done),
    /// How far the work has come.
    Progress(Snapshot),
    /// How many are at work.
    Users {
        /// How many.
        active: u64,
    },
    /// How much waits to be done.
    Queue {
        /// How much was queued and is not done.
        queued: u64,
        /// How much is left of the target, or else of what was queued.
        remaining: Option<u64>,
    },
    /// The last of the progress: the work is over.
    Ended(Snapshot, EndReason),
}

/// What sessions have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// How much in all.
    pub done: u64,
    /// How much by each session.
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

/// That something has changed: what it is now is looked at when it is told.
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
