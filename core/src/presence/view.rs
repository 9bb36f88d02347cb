//! The presences of all nodes that are up, by topic: what watchers know, and the changes that they have yet to get.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::section::Entry;
use super::{Absent, Key, KeyChange, PresenceDiff, PresenceId, Present, Roster};
use crate::topic::Topic;

#[derive(Debug)]
pub(super) struct View<M> {
    /// What watchers know.
    reported: BTreeMap<Topic, Roster<M>>,
    /// What has changed since then. Topics without changes have no entry.
    pending: BTreeMap<Topic, Pending<M>>,
}

#[derive(Debug)]
struct Pending<M> {
    joins: BTreeMap<PresenceId, (Key, M)>,
    leaves: BTreeSet<Absent>,
}

/// The changes of a topic, as watchers get them.
pub(super) type Changes<M> = (PresenceDiff<M>, Vec<KeyChange<M>>);

impl<M: Clone> View<M> {
    pub(super) const fn new() -> Self {
        Self {
            reported: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, id: PresenceId, entry: &Entry<M>) {
        let absent = Absent {
            key: entry.key.clone(),
            id,
        };
        self.change(&entry.topic, |pending| {
            if !pending.leaves.remove(&absent) {
                let present = (absent.key, entry.meta.clone());
                pending.joins.insert(id, present);
            }
        });
    }

    pub(super) fn leave(&mut self, id: PresenceId, entry: &Entry<M>) {
        let key = entry.key.clone();
        self.change(&entry.topic, |pending| {
            if pending.joins.remove(&id).is_none() {
                pending.leaves.insert(Absent { key, id });
            }
        });
    }

    fn change(&mut self, topic: &Topic, act: impl FnOnce(&mut Pending<M>)) {
        let pending = self.pending.entry(topic.clone()).or_default();
        act(pending);
        if pending.joins.is_empty() && pending.leaves.is_empty() {
            self.pending.remove(topic);
        }
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes the changes of the first topic that has any.
    pub(super) fn take_next(&mut self) -> Option<Changes<M>> {
        let (topic, pending) = self.pending.pop_first()?;
        Some(self.note(topic, pending))
    }

    /// Takes the changes of a topic.
    pub(super) fn take(&mut self, topic: &Topic) -> Option<Changes<M>> {
        let (topic, pending) = self.pending.remove_entry(topic)?;
        Some(self.note(topic, pending))
    }

    fn note(&mut self, topic: Topic, pending: Pending<M>) -> Changes<M> {
        let joins = pending.joins.into_iter();
        let diff = PresenceDiff {
            topic,
            joins: joins
                .map(|(id, (key, meta))| Present { id, key, meta })
                .collect(),
            leaves: pending.leaves.into_iter().collect(),
        };
        let roster = self.reported.entry(diff.topic.clone()).or_default();
        let changes = roster.handle_diff(&diff);
        if roster.is_empty() {
            self.reported.remove(&diff.topic);
        }
        (diff, changes)
    }

    /// Who is present in a topic as its watchers know it; `None` if nobody is present.
    pub(super) fn roster(&self, topic: &Topic) -> Option<&Roster<M>> {
        self.reported.get(topic)
    }

    /// The number of metas of a topic, including those that watchers do not know of yet.
    pub(super) fn metas(&self, topic: &Topic) -> usize {
        let reported = self.reported.get(topic).map_or(0, Roster::metas_len);
        match self.pending.get(topic) {
            Some(pending) => reported + pending.joins.len() - pending.leaves.len(),
            None => reported,
        }
    }

    /// The numbers of topics and metas that watchers know of.
    pub(super) fn counts(&self) -> (usize, usize) {
        (
            self.reported.len(),
            self.reported.values().map(Roster::metas_len).sum(),
        )
    }
}

impl<M> Default for Pending<M> {
    fn default() -> Self {
        Self {
            joins: BTreeMap::new(),
            leaves: BTreeSet::new(),
        }
    }
}
