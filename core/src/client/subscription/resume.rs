//! Where a subscription resumes: on the next connection of its client, or by another client that takes over.

use alloc::vec::Vec;

use super::{Rewind, Seen, Subscription};
use crate::limits::SINCE_BYTES_MAX;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// What a position costs in a frame beside its topic: member names and two numbers, generously.
const POSITION_OVERHEAD_BYTES: usize = 72;

impl<P> Subscription<P> {
    /// After which positions another client goes on with what was seen here; `None`, where this one has not begun.
    pub(in crate::client) fn resumes_after(&self, pattern: &Pattern) -> Option<Vec<TopicPosition>> {
        self.was_live.then(|| self.seen(pattern, None))
    }

    /// The positions that a frame has room for, those of the topics that published last; before what was seen, as far as it goes back by `rewind`, and
    /// then those that others know of topics of which nothing was.
    pub(super) fn seen(&self, pattern: &Pattern, rewind: Option<&Rewind>) -> Vec<TopicPosition> {
        // Who has joined goes on from what came for it alone; where that is to come for all of several topics, it comes from the beginning.
        let counts_unseen = self.has_name() || pattern.is_exact();
        let is_known = |seen: &Seen<P>| counts_unseen || !seen.is_unseen;
        let mut known = Vec::new();
        let mut bytes = 0;
        let mut add = |topic: &Topic, position: Position| {
            bytes += topic.as_str().len() + POSITION_OVERHEAD_BYTES;
            let has_room = bytes <= SINCE_BYTES_MAX;
            if has_room {
                let topic = topic.clone();
                known.push(TopicPosition { topic, position });
            }
            has_room
        };
        let seen = self.positions.newest_first();
        for (topic, Seen { position, .. }) in seen.filter(|(_, seen)| is_known(seen)) {
            let position = match rewind {
                Some(rewind) => rewind.after(pattern, topic, Some(*position)),
                None => Some(*position),
            };
            if let Some(position) = position
                && !add(topic, position)
            {
                return known;
            }
        }
        if let Some(rewind) = rewind {
            for topic in rewind.known() {
                if !self.positions.get(topic).is_some_and(is_known)
                    && let Some(position) = rewind.after(pattern, topic, None)
                    && !add(topic, position)
                {
                    break;
                }
            }
        }
        known
    }
}
