//! What a node knows of one node's presences: an observed-remove set.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::clocks::Clocks;
use super::key::Key;
use super::message::Part;
use crate::topic::Topic;

/// A presence as nodes exchange it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<M> {
    /// Its topic.
    pub topic: Topic,
    /// Its key.
    pub key: Key,
    /// Its meta.
    pub meta: M,
}

/// The changes of one node that were seen, and the presences that remain of them.
///
/// A presence whose clock was seen, but which isn't here, was removed. A partial update is a section, too, whose clocks
/// are those that it covers: complete state and delta have the same form and the same join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section<M> {
    pub(super) seen: Clocks,
    pub(super) entries: BTreeMap<u64, Entry<M>>,
}

/// What a join changed.
#[derive(Debug)]
pub(super) struct Joined<M> {
    pub(super) came: Vec<u64>,
    pub(super) went: Vec<(u64, Entry<M>)>,
}

impl<M> Default for Joined<M> {
    fn default() -> Self {
        Self {
            came: Vec::new(),
            went: Vec::new(),
        }
    }
}

impl<M> Default for Section<M> {
    fn default() -> Self {
        Self {
            seen: Clocks::default(),
            entries: BTreeMap::new(),
        }
    }
}

impl<M: Clone> Section<M> {
    /// Joins a part, unless it lies beyond a gap and there are more than `gaps_max` already.
    pub(super) fn take(&mut self, part: Part<M>, gaps_max: usize) -> Joined<M> {
        if part.since > self.seen.whole() && self.seen.len() > gaps_max {
            return Joined::default();
        }
        self.join(part.into_section())
    }

    /// Merges another section into this one. An entry that only one of them has is kept, unless the other has seen its
    /// clock, and so has seen it removed.
    pub(super) fn join(&mut self, other: Self) -> Joined<M> {
        let mut gone = Vec::new();
        for span in other.seen.spans() {
            let clocks = self.entries.range(span).map(|(clock, _)| *clock);
            gone.extend(clocks.filter(|clock| !other.entries.contains_key(clock)));
        }
        let went = gone
            .into_iter()
            .filter_map(|clock| Some((clock, self.entries.remove(&clock)?)))
            .collect();
        let mut came = Vec::new();
        for (clock, entry) in other.entries {
            if !self.seen.contains(clock) {
                self.entries.insert(clock, entry);
                came.push(clock);
            }
        }
        self.seen.join(&other.seen);
        Joined { came, went }
    }
}

#[cfg(test)]
mod tests;
