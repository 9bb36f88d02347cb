//! Where those start who have joined, and from where the server is asked for what they miss.

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// Where those who have joined, and know something, start.
#[derive(Debug, Default)]
pub(super) struct Starts(Vec<Beginning>);

#[derive(Debug)]
struct Beginning {
    known: OrderedMap<Topic, Position>,
    /// Whether it is content with what was seen last. What it alone knows is still asked for: nothing else would tell whether that is
    /// there.
    is_content: bool,
}

impl Starts {
    pub(super) fn add(&mut self, known: OrderedMap<Topic, Position>) {
        self.0.push(Beginning {
            known,
            is_content: false,
        });
    }

    /// The topics that they know something of, each once.
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

    /// After which position a topic is asked for, of which `seen` was seen last, so that this comes again; `None`: from its beginning.
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
                // One of them wants all of it, whatever the others know.
                None if offset == 0 && (known.epoch == 0 || !pattern.is_exact()) => return None,
                None => Some(known),
            };
        }
        after
    }

    /// Whether one of them has seen more of a topic than `seen`.
    pub(super) fn are_ahead(&self, topic: &Topic, seen: Position) -> bool {
        let mut known = self.0.iter().filter_map(|start| start.known.get(topic));
        known.any(|known| known.epoch == seen.epoch && known.offset > seen.offset)
    }

    /// Something of a topic is lost, of which `seen` was seen. Whether somebody has asked for that: the one who is furthest behind is content from
    /// here on.
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
