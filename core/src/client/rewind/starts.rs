//! The starts of newcomers, and the positions to request what they missed from.

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// The starts of the newcomers that gave positions.
#[derive(Debug, Default)]
pub(super) struct Starts(Vec<Beginning>);

#[derive(Debug)]
struct Beginning {
    known: OrderedMap<Topic, Position>,
    /// Whether it starts from what was last seen, because more was lost. Topics that only this newcomer knows are still
    /// requested, because nothing else would tell whether they still exist.
    is_content: bool,
}

impl Starts {
    pub(super) fn add(&mut self, known: OrderedMap<Topic, Position>) {
        self.0.push(Beginning {
            known,
            is_content: false,
        });
    }

    /// The topics that the newcomers know, each once.
    pub(super) fn known(&self) -> impl Iterator<Item = &Topic> {
        self.0.iter().enumerate().flat_map(|(number, start)| {
            let earlier = &self.0[..number];
            let is_new = move |topic: &&Topic| {
                let mut others = earlier.iter();
                others.all(|earlier| !earlier.known.contains_key(topic))
            };
            start.known.keys().filter(is_new)
        })
    }

    /// The position after which to request a topic so that `seen`, which was last seen, arrives again; `None` for its
    /// beginning.
    pub(super) fn after(
        &self,
        pattern: &Pattern,
        topic: &Topic,
        seen: Option<Position>,
    ) -> Option<Position> {
        let mut after = seen.map(|seen| Position {
            offset: seen.offset.saturating_sub(1),
            ..seen
        });
        for Beginning { known, is_content } in &self.0 {
            if *is_content && seen.is_some() {
                continue;
            }
            let Some(known) = known.get(topic).copied() else {
                if pattern.is_exact() || *is_content {
                    continue;
                }
                return None;
            };
            let offset = known.offset;
            after = match after {
                Some(after) if known.epoch == after.epoch || offset == 0 => Some(Position {
                    offset: after.offset.min(offset),
                    ..after
                }),
                Some(after) => Some(after),
                // One of them wants the whole topic, whatever the others know.
                None if offset == 0 && (known.epoch == 0 || !pattern.is_exact()) => return None,
                None => Some(known),
            };
        }
        after
    }

    /// Returns whether a newcomer has seen more of a topic than `seen`.
    pub(super) fn are_ahead(&self, topic: &Topic, seen: Position) -> bool {
        let mut known = self.0.iter().filter_map(|start| start.known.get(topic));
        known.any(|known| known.epoch == seen.epoch && known.offset > seen.offset)
    }

    /// The latest position of a topic that a newcomer has seen in the epoch of `seen`, or `seen`.
    pub(super) fn furthest(&self, topic: &Topic, seen: Position) -> Position {
        let known = self.0.iter().filter_map(|start| start.known.get(topic));
        let known = known.filter(|known| known.epoch == seen.epoch);
        known.fold(seen, |seen, known| Position {
            offset: seen.offset.max(known.offset),
            ..seen
        })
    }

    /// Something was lost of a topic of which `seen` was last seen. Returns whether a newcomer had asked for it: the
    /// one furthest behind, which from here on starts from what was last seen.
    pub(super) fn give_up(&mut self, topic: &Topic, seen: Position) -> bool {
        let behind = |start: &Beginning| match start.known.get(topic) {
            Some(known) if known.epoch == seen.epoch || known.offset == 0 => known.offset,
            Some(_) => seen.offset,
            None => 0,
        };
        let wanting = self.0.iter_mut().filter(|start| !start.is_content);
        let Some(start) = wanting.min_by_key(|start| behind(start)) else {
            return false;
        };
        start.is_content = true;
        true
    }
}
