//! A cursor that connections of this server hold.

use super::Cursor;
use crate::limits::DURABLE_TOPICS_MAX;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::recent::Recent;
use crate::topic::Topic;

#[derive(Debug)]
pub(super) struct HeldCursor {
    pub(super) term: u64,
    pub(super) positions: Recent<Position>,
    /// How many connections hold it.
    pub(super) holders: usize,
    /// It has moved since it was stored.
    pub(super) is_dirty: bool,
    pub(super) is_being_stored: bool,
}

impl HeldCursor {
    pub(super) fn new(cursor: &Cursor, holders: usize) -> Self {
        let mut positions = Recent::new(DURABLE_TOPICS_MAX);
        // The positions are sorted with the last acknowledged first.
        for known in cursor.positions.iter().rev() {
            *positions.touch(&known.topic, || known.position) = known.position;
        }
        Self {
            term: cursor.term,
            positions,
            holders,
            is_dirty: false,
            is_being_stored: false,
        }
    }

    /// Moves a topic's position forward. Returns whether that is news.
    pub(super) fn advance(&mut self, topic: &Topic, position: Position) -> bool {
        let mut is_new = false;
        let known = self.positions.touch(topic, || {
            is_new = true;
            position
        });
        let is_old = known.epoch == position.epoch && known.offset >= position.offset;
        *known = if is_old { *known } else { position };
        is_new || !is_old
    }

    pub(super) fn cursor(&self) -> Cursor {
        let positions = self.positions.newest_first();
        let positions = positions.map(|(topic, position)| TopicPosition {
            topic: topic.clone(),
            position: *position,
        });
        Cursor {
            term: self.term,
            positions: positions.collect(),
        }
    }
}
