//! Calls about the cursors of durable subscriptions, which use the same link.

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
use crate::uplink::{PendingCall, UplinkCall};

/// One batch of calls is in flight at a time, so that none overtakes another.
#[derive(Debug)]
pub(super) enum CursorBatch {
    None,
    InFlight,
    Answered(Vec<CursorAnswer>),
    Lost,
}

impl<P: Payload + Clone, T> Mirror<P, T> {
    /// Returns whether the link is up.
    pub(in crate::hub) const fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// How often the link was lost.
    pub(in crate::hub) const fn losses(&self) -> u64 {
        self.losses
    }

    /// Requests a batch. The link must be up, and [`Mirror::poll_cursors`] must have returned the result of the
    /// previous batch.
    pub(in crate::hub) fn request_cursors(&mut self, now: Instant, calls: Vec<CursorCall>) {
        let pending = PendingCall::Cursors(calls.len());
        self.cursors = CursorBatch::InFlight;
        self.call(now, pending, UplinkCall::Cursors(calls));
    }

    /// The result of the last batch; `Some(None)` if it was lost with the link.
    pub(in crate::hub) fn poll_cursors(&mut self) -> Option<Option<Vec<CursorAnswer>>> {
        match core::mem::replace(&mut self.cursors, CursorBatch::None) {
            CursorBatch::Answered(answers) => Some(Some(answers)),
            CursorBatch::Lost => Some(None),
            before @ (CursorBatch::None | CursorBatch::InFlight) => {
                self.cursors = before;
                None
            }
        }
    }

    pub(super) fn lose_cursors(&mut self) {
        if matches!(self.cursors, CursorBatch::InFlight) {
            self.cursors = CursorBatch::Lost;
        }
    }

    /// The backend had no room for a batch.
    pub(super) fn refuse_cursors(&mut self, count: usize) {
        self.cursors = CursorBatch::Answered(vec![CursorAnswer::Full; count]);
    }

    /// Reads everything that is kept of the matching topics whose history after these positions is incomplete here.
    /// Returns whether there are any; [`Mirror::poll_progress`] tells when they have been read.
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
