//! What all nodes have counted of a piece of work.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::COUNT_MAX;
use super::register::{Before, Ended, Target, earlier, earlier_end};
use super::share::Share;
use crate::presence::{Key, NodeId};

/// What all nodes have counted of a piece of work, or a part of it: a state-based CRDT.
///
/// [`Tally::join`] is associative, commutative and idempotent, so tallies may be exchanged in any order and any number
/// of times. Nodes send them to each other, and an application can store them, in their serde form, to continue later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    pub(super) before: Before,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Ended>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) shares: BTreeMap<NodeId, Share>,
}

impl Tally {
    /// A tally of what was done before, according to the application's store.
    pub fn from_before(before: Before) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// What `node` has counted as done, according to the application's own store: the amount of each session.
    ///
    /// This is for a server that was killed, perhaps before it had told the others what it had stored. Joined with what
    /// it did tell, nothing is missing and nothing is counted twice, as long as everything that is done is first
    /// stored, and then counted by a call of its own.
    pub fn from_counts(node: NodeId, counts: impl IntoIterator<Item = (Key, u64)>) -> Self {
        Self {
            shares: BTreeMap::from([(node, Share::of_counts(counts))]),
            ..Self::default()
        }
    }

    /// The amount done by all.
    pub fn done(&self) -> u64 {
        self.sum(self.before.done, Share::done)
    }

    /// The amount queued by all, including what was done of it.
    pub fn queued(&self) -> u64 {
        self.sum(self.before.queued, Share::queued)
    }

    fn sum(&self, before: u64, of: fn(&Share) -> u64) -> u64 {
        let shares = self.shares.values().map(of);
        shares.fold(before, u64::saturating_add).min(COUNT_MAX)
    }

    /// The total amount, if it was set.
    pub fn target(&self) -> Option<u64> {
        self.target.and_then(|target| target.value)
    }

    /// When the work started, by the application's clock, in milliseconds.
    pub const fn started_ms(&self) -> Option<u64> {
        self.started_ms
    }

    /// Whether and how the work has ended.
    pub const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// The amount of each session, on all nodes. The rest of [`Tally::done`] was done by sessions beyond the limit, and
    /// before.
    pub fn sessions(&self) -> BTreeMap<Key, u64> {
        let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
        for (key, count) in self.shares.values().flat_map(Share::sessions) {
            let sum = sums.entry(key.clone()).or_default();
            *sum = sum.saturating_add(count).min(COUNT_MAX);
        }
        sums
    }

    /// The version up to which each node's share is known.
    pub(super) fn known(&self) -> BTreeMap<NodeId, u64> {
        let shares = self.shares.iter();
        shares.map(|(node, share)| (*node, share.whole())).collect()
    }

    /// Merges another tally into this one.
    pub fn join(&mut self, other: &Self) {
        self.join_registers(other);
        for (node, share) in &other.shares {
            self.join_share(*node, share);
        }
    }

    pub(super) fn join_registers(&mut self, other: &Self) {
        self.before.join(other.before);
        self.target = self.target.max(other.target);
        self.started_ms = earlier(self.started_ms, other.started_ms);
        self.ended = earlier_end(self.ended, other.ended);
    }

    pub(super) fn join_share(&mut self, node: NodeId, share: &Share) {
        match self.shares.get_mut(&node) {
            Some(known) => known.join(share),
            None => {
                let share = share.clone().bounded();
                self.shares.insert(node, share);
            }
        }
    }

    /// Drops the windows: speed is only meaningful at the moment, not in a tally that was stored.
    pub(super) fn forget_windows(&mut self) {
        self.shares.values_mut().for_each(Share::forget_window);
    }

    /// The changes of a node's share after a version, as tallies to be joined.
    pub(super) fn parts(&self, node: NodeId, since: u64, sessions_max: usize) -> Vec<Self> {
        let registers = || Self {
            shares: BTreeMap::new(),
            before: self.before,
            target: self.target,
            started_ms: self.started_ms,
            ended: self.ended,
        };
        let Some(share) = self.shares.get(&node) else {
            return Vec::from([registers()]);
        };
        let parts = share.parts(since, sessions_max).into_iter();
        parts
            .map(|part| Self {
                shares: BTreeMap::from([(node, part)]),
                ..registers()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
