//! The positions a subscription resumes from, on its client's next connection or in another client that takes over.

use alloc::vec::Vec;

use super::{Rewind, Seen, Subscription};
use crate::limits::SINCE_BYTES_MAX;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// The most bytes of a position in a frame besides its topic: member names and two numbers.
const POSITION_OVERHEAD_BYTES: usize = 72;

impl<P> Subscription<P> {
    /// The positions after which another client continues; `None` if this subscription has never been confirmed.
    pub(in crate::client) fn resumes_after(&self, pattern: &Pattern) -> Option<Vec<TopicPosition>> {
        self.was_live.then(|| self.seen(pattern, None))
    }

    /// The positions to resume from, as many as fit into a frame, of the topics published to last. With `rewind`, they
    /// are those to go back to, followed by those that only newcomers know.
    pub(super) fn seen(&self, pattern: &Pattern, rewind: Option<&Rewind>) -> Vec<TopicPosition> {
        // What only newcomers were sent counts as seen in a durable or exact subscription. With several topics and no
        // cursor, it must be sent to all, from the beginning.
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
