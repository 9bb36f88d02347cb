//! Calls about the cursors of durable subscriptions, which travel by the same link.

use alloc::vec;
use alloc::vec::Vec;

use super::Mirror;
use crate::durable::{CursorAnswer, CursorCall};
use crate::hub::Hub;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use crate::uplink::{Asked, UplinkCall};

/// One batch of calls at a time, so that none overtakes another.
#[derive(Debug)]
pub(super) enum CursorBatch {
    None,
    Asked,
    Answered(Vec<CursorAnswer>),
    Lost,
}

impl<P: Payload + Clone, T> Mirror<P, T> {
    /// Whether the link stands.
    pub(in crate::hub) const fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// How often the link was lost.
    pub(in crate::hub) const fn losses(&self) -> u64 {
        self.losses
    }

    /// Asks a batch. To be called while the link stands, and when the last batch was told by [`Mirror::poll_cursors`].
    pub(in crate::hub) fn ask_cursors(&mut self, now: Instant, calls: Vec<CursorCall>) {
        let asked = Asked::Cursors(calls.len());
        self.cursors = CursorBatch::Asked;
        self.call(now, asked, UplinkCall::Cursors(calls));
    }

    /// What came of the batch that was asked last; `None` within where it was lost.
    pub(in crate::hub) fn poll_cursors(&mut self) -> Option<Option<Vec<CursorAnswer>>> {
        match core::mem::replace(&mut self.cursors, CursorBatch::None) {
            CursorBatch::Answered(answers) => Some(Some(answers)),
            CursorBatch::Lost => Some(None),
            before @ (CursorBatch::None | CursorBatch::Asked) => {
                self.cursors = before;
                None
            }
        }
    }

    pub(super) fn lose_cursors(&mut self) {
        if matches!(self.cursors, CursorBatch::Asked) {
            self.cursors = CursorBatch::Lost;
        }
    }

    /// There was no room for a batch of so many.
    pub(super) fn refuse_cursors(&mut self, count: usize) {
        self.cursors = CursorBatch::Answered(vec![CursorAnswer::Full; count]);
    }

    /// Reads everything that is kept of topics whose part after these positions is not all there. Says whether there are any:
    /// [`Mirror::poll_progress`] says when they have been read.
    pub(in crate::hub) fn read_kept(
        &mut self,
        now: Instant,
        hub: &Hub<P>,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) -> bool {
        let lost: Vec<Topic> = hub
            .topics_of(pattern)
            .into_iter()
            .filter(|topic| {
                let known = positions.iter().find(|known| known.topic == *topic);
                let since = known.map_or_else(Position::default, |known| known.position);
                !hub.covers(topic, since)
            })
            .collect();
        for topic in &lost {
            self.catch_up_since(hub, topic, Some(Position::default()));
        }
        self.step(now);
        !lost.is_empty()
    }
}
