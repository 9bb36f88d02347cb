//! A node's own presences: numbered, found by the request that created them, and sent in parts.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::message::Part;
use super::section::Entry;
use super::{PresenceLimits, TrackId};
use crate::payload::Payload;

/// The most bytes of a presence in a message besides its texts and its meta: member names and a clock.
pub(super) const JOIN_OVERHEAD_BYTES: usize = 64;

/// The most bytes of a removal in a message.
pub(super) const LEAVE_BYTES: usize = 20;

#[derive(Debug)]
pub(super) struct Own<M> {
    /// The number of changes so far.
    clock: u64,
    entries: BTreeMap<u64, Entry<M>>,
    tracks: BTreeMap<TrackId, u64>,
    /// The clocks of the removed presences, by the clock of their removal.
    removals: BTreeMap<u64, u64>,
    /// Removals up to this clock have been forgotten.
    removals_since: u64,
    removals_max: usize,
}

impl<M: Payload + Clone> Own<M> {
    pub(super) const fn new(limits: &PresenceLimits) -> Self {
        Self {
            clock: 0,
            entries: BTreeMap::new(),
            tracks: BTreeMap::new(),
            removals: BTreeMap::new(),
            removals_since: 0,
            removals_max: limits.removals_max,
        }
    }

    pub(super) const fn clock(&self) -> u64 {
        self.clock
    }

    /// Adds a presence; the track must have none.
    pub(super) fn add(&mut self, track: TrackId, entry: Entry<M>) -> u64 {
        self.clock += 1;
        self.entries.insert(self.clock, entry);
        self.tracks.insert(track, self.clock);
        self.clock
    }

    pub(super) fn remove(&mut self, track: TrackId) -> Option<(u64, Entry<M>)> {
        let clock = self.tracks.remove(&track)?;
        let entry = self.entries.remove(&clock)?;
        self.clock += 1;
        self.removals.insert(self.clock, clock);
        while self.removals.len() > self.removals_max {
            if let Some((removal, _)) = self.removals.pop_first() {
                self.removals_since = removal;
            }
        }
        Some((clock, entry))
    }

    pub(super) fn get(&self, track: TrackId) -> Option<&Entry<M>> {
        self.entries.get(self.tracks.get(&track)?)
    }

    /// The tracks of a session.
    pub(super) fn tracks_of(&self, session: u64) -> impl Iterator<Item = TrackId> {
        let track = |number| TrackId { session, number };
        let tracks = self.tracks.range(track(0)..=track(u64::MAX));
        tracks.map(|(track, _)| *track)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The changes after `since`, or everything if that is too long ago, in parts of at most `bytes_max` (but at least
    /// one change each). There is always at least one part, to state the clock.
    pub(super) fn parts(&self, since: u64, bytes_max: usize) -> Vec<Part<M>> {
        let is_remembered = since >= self.removals_since;
        let since = if is_remembered {
            since.min(self.clock)
        } else {
            0
        };
        let part_after = |since| Part {
            since,
            until: self.clock,
            clock: self.clock,
            joins: Vec::new(),
            leaves: Vec::new(),
            is_of_all: !is_remembered,
        };
        let mut parts = vec![part_after(since)];
        let mut bytes = 0;
        for (clock, change) in self.changes(since) {
            let size = change.size();
            let last = parts.len() - 1;
            if matches!(change, Change::Leave(removed) if removed > parts[last].since) {
                // Its absence from the part's joins says that it is gone.
                continue;
            }
            if bytes > 0 && bytes + size > bytes_max {
                parts[last].until = clock - 1;
                parts.push(part_after(clock - 1));
                bytes = 0;
            }
            bytes += size;
            let part = parts.last_mut().expect("there is always a part");
            match change {
                Change::Join(entry) => part.joins.push((clock, entry.clone())),
                Change::Leave(removed) => part.leaves.push(removed),
            }
        }
        parts
    }

    /// The changes after `since`, by ascending clock: the joins that remain, and the removals that are remembered.
    fn changes(&self, since: u64) -> impl Iterator<Item = (u64, Change<'_, M>)> {
        let joins = self.entries.range(since + 1..);
        let leaves = self.removals.range(since + 1..);
        let joins = joins.map(|(clock, entry)| (*clock, Change::Join(entry)));
        let leaves = leaves.map(|(clock, removed)| (*clock, Change::Leave(*removed)));
        let (mut joins, mut leaves) = (joins.peekable(), leaves.peekable());
        core::iter::from_fn(move || {
            let join = joins.peek().map_or(u64::MAX, |(clock, _)| *clock);
            leaves
                .next_if(|(clock, _)| *clock < join)
                .or_else(|| joins.next())
        })
    }
}

enum Change<'a, M> {
    Join(&'a Entry<M>),
    Leave(u64),
}

impl<M: Payload> Change<'_, M> {
    fn size(&self) -> usize {
        match self {
            Self::Join(entry) => {
                let texts = entry.topic.as_str().len() + entry.key.as_str().len();
                texts + entry.meta.size() + JOIN_OVERHEAD_BYTES
            }
            Self::Leave(_) => LEAVE_BYTES,
        }
    }
}
