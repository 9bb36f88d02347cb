//! When the server is told of what a client's handlers have dealt with.

use core::time::Duration;

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Topic;

/// How many publications may be dealt with before the server is told.
const TOLD_EVERY: usize = 32;

/// How long it may take until the server is told.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What the server is to be told of one durable subscription.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    positions: OrderedMap<Topic, Position>,
    count: usize,
    due_at: Option<Instant>,
    /// Up to where something was dealt with last.
    handled: Option<Position>,
    /// Where the topic has ended, if it has.
    ended: Option<Position>,
}

impl Acks {
    /// Everything of a topic up to a position is dealt with. One of several subscribers may be behind what another has told.
    pub(crate) fn handle(&mut self, now: Instant, topic: &Topic, position: Position) {
        let told = self.positions.get(topic);
        if told.is_some_and(|told| is_behind(position, *told)) {
            return;
        }
        self.positions.insert(topic, position);
        self.count += 1;
        if self.handled.is_none_or(|last| !is_behind(position, last)) {
            self.handled = Some(position);
        }
        let due_at = *self.due_at.get_or_insert(now + TOLD_WITHIN);
        if self.count >= TOLD_EVERY || self.is_done() {
            self.due_at = Some(due_at.min(now));
        }
    }

    /// The topic has ended with this publication.
    pub(crate) fn end(&mut self, now: Instant, position: Position) {
        self.ended = Some(position);
        if self.is_done() {
            self.due_at = self.due_at.map(|at| at.min(now));
        }
    }

    /// Whether nothing is left to be dealt with: there is nothing to wait for.
    fn is_done(&self) -> bool {
        self.ended.is_some() && self.ended == self.handled
    }

    /// Whether there will never be anything to tell any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_done() && self.due_at.is_none()
    }

    /// What is to be told now, if anything is.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Vec<TopicPosition>> {
        self.due_at.filter(|at| *at <= now)?;
        self.take()
    }

    /// What is to be told, now or later.
    pub(crate) fn take(&mut self) -> Option<Vec<TopicPosition>> {
        self.due_at.take()?;
        self.count = 0;
        let positions = core::mem::take(&mut self.positions);
        let mut told = Vec::new();
        for (topic, position) in positions.iter() {
            told.push(TopicPosition {
                topic: topic.clone(),
                position: *position,
            });
        }
        Some(told)
    }

    /// When something is to be told at the latest.
    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }
}

/// Whether a position says less than another one of its epoch.
fn is_behind(position: Position, other: Position) -> bool {
    position.epoch == other.epoch && position.offset < other.offset
}
