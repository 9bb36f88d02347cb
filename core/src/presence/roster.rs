//! The presences of one topic as a watcher knows them, and what each further message changes about its keys.

use alloc::vec::Vec;

use super::{Absent, Key, PresenceDiff, PresenceId, Present};
use crate::sorted::SortedMap;

/// The presences of one topic.
///
/// This does what Phoenix's `Presence.syncState` and `syncDiff` do for its JavaScript client: a state that arrives
/// after a lost connection is compared with what was known, so that only the differences are reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster<M> {
    keys: SortedMap<Key, SortedMap<PresenceId, M>>,
    metas: usize,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyChangeKind {
    /// It joined, with its first metas.
    Joined,
    /// It is still present, with different metas.
    Updated,
    /// It left, with its last metas.
    Left,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange<M> {
    /// The key.
    pub key: Key,
    /// What happened.
    pub kind: KeyChangeKind,
    /// The metas that were added, ordered by id. The same meta over a new connection has a new id.
    pub joins: Vec<Present<M>>,
    /// The metas that were removed, ordered by id.
    pub leaves: Vec<Present<M>>,
}

impl<M> Default for Roster<M> {
    fn default() -> Self {
        Self {
            keys: SortedMap::new(),
            metas: 0,
        }
    }
}

impl<M: Clone> Roster<M> {
    /// An empty roster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a complete state: presences that are not in it have gone.
    pub fn handle_state(&mut self, present: &[Present<M>]) -> Vec<KeyChange<M>> {
        let mut stay = SortedMap::new();
        for present in present {
            stay.insert((&present.key, present.id), ());
        }
        let mut gone = Vec::new();
        for (key, metas) in self.keys.iter() {
            for id in metas.keys() {
                if !stay.contains_key(&(key, *id)) {
                    let key = key.clone();
                    gone.push(Absent { key, id: *id });
                }
            }
        }
        self.apply(present, &gone)
    }

    /// Applies a diff. What is known already is no change.
    pub fn handle_diff(&mut self, diff: &PresenceDiff<M>) -> Vec<KeyChange<M>> {
        self.apply(&diff.joins, &diff.leaves)
    }

    fn apply(&mut self, joins: &[Present<M>], leaves: &[Absent]) -> Vec<KeyChange<M>> {
        let mut changes: SortedMap<Key, Change<M>> = SortedMap::new();
        for present in joins {
            let metas = self
                .keys
                .or_insert_with(present.key.clone(), SortedMap::new);
            let was_present = !metas.is_empty();
            if metas.contains_key(&present.id) {
                continue;
            }
            metas.insert(present.id, present.meta.clone());
            self.metas += 1;
            let change = changed(&mut changes, &present.key, was_present);
            change.joins.push(present.clone());
        }
        for Absent { key, id } in leaves {
            let Some(meta) = self.keys.get_mut(key).and_then(|metas| metas.remove(id)) else {
                continue;
            };
            self.metas -= 1;
            let change = changed(&mut changes, key, true);
            change.leaves.push(Present {
                id: *id,
                key: key.clone(),
                meta,
            });
        }
        let mut concluded = Vec::new();
        for (key, change) in changes {
            if let Some(change) = self.conclude(key, change) {
                concluded.push(change);
            }
        }
        concluded
    }

    /// What the changes of a key amount to; `None` if it joined and left in one message.
    fn conclude(&mut self, key: Key, change: Change<M>) -> Option<KeyChange<M>> {
        let is_present = self.keys.get(&key).is_some_and(|metas| !metas.is_empty());
        if !is_present {
            self.keys.remove(&key);
        }
        let kind = match (change.was_present, is_present) {
            (false, true) => KeyChangeKind::Joined,
            (true, true) => KeyChangeKind::Updated,
            (true, false) => KeyChangeKind::Left,
            (false, false) => return None,
        };
        Some(KeyChange {
            key,
            kind,
            joins: change.joins,
            leaves: change.leaves,
        })
    }

    /// All presences, ordered by key, then by id.
    pub fn present(&self) -> impl Iterator<Item = Present<M>> {
        self.keys.iter().flat_map(|(key, metas)| {
            metas.iter().map(|(id, meta)| Present {
                id: *id,
                key: key.clone(),
                meta: meta.clone(),
            })
        })
    }

    /// The metas of a key, ordered by id; none if it is not present.
    pub fn metas(&self, key: &Key) -> impl Iterator<Item = (PresenceId, &M)> {
        let metas = self.keys.get(key).into_iter().flat_map(SortedMap::iter);
        metas.map(|(id, meta)| (*id, meta))
    }

    /// The keys that are present.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.keys()
    }

    /// How many metas there are.
    pub const fn metas_len(&self) -> usize {
        self.metas
    }

    /// Returns whether nobody is present.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[derive(Debug)]
struct Change<M> {
    was_present: bool,
    joins: Vec<Present<M>>,
    leaves: Vec<Present<M>>,
}

impl<M> Change<M> {
    const fn new(was_present: bool) -> Self {
        Self {
            was_present,
            joins: Vec::new(),
            leaves: Vec::new(),
        }
    }
}

/// The changes of a key, to be added to.
fn changed<'a, M>(
    changes: &'a mut SortedMap<Key, Change<M>>,
    key: &Key,
    was_present: bool,
) -> &'a mut Change<M> {
    changes.or_insert_with(key.clone(), || Change::new(was_present))
}
