//! One subscription of a client: what it has seen, and how it resumes.

use alloc::vec::Vec;

use crate::flow::Flow;
use crate::limits::{CLIENT_TOPICS_MAX, SINCE_BYTES_MAX};
use crate::protocol::{ClientFrame, Start, TopicPosition};
use crate::publication::{Position, Publication};
use crate::recent::Recent;
use crate::topic::{Pattern, Topic};

/// What a position costs in a frame beside its topic: member names and two numbers, generously.
const POSITION_OVERHEAD_BYTES: usize = 72;

#[derive(Debug)]
pub(super) struct Subscription {
    flow: Flow,
    start: Start,
    phase: Phase,
    /// Whether a server has ever confirmed it: from then on it resumes instead of starting.
    was_live: bool,
    positions: Recent<Position>,
}

/// What the current connection knows of the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Unsent,
    /// Until it is confirmed, publications belong to an earlier subscription with the same pattern.
    Sent,
    Live,
}

impl Subscription {
    pub(super) fn new(flow: Flow, start: Start) -> Self {
        let mut positions = Recent::new(CLIENT_TOPICS_MAX);
        if let Start::Since(since) = &start {
            for known in since {
                positions.touch(&known.topic, || known.position);
            }
        }
        Self {
            flow,
            start,
            phase: Phase::Unsent,
            was_live: false,
            positions,
        }
    }

    /// The frame that subscribes, or resumes after what was seen.
    pub(super) fn request<P>(&mut self, pattern: &Pattern) -> ClientFrame<P> {
        self.phase = Phase::Sent;
        let start = if self.was_live {
            Start::Since(self.seen())
        } else {
            self.start.clone()
        };
        ClientFrame::Subscribe {
            pattern: pattern.clone(),
            flow: self.flow,
            start,
        }
    }

    /// The positions that a frame has room for, those of the topics that published last.
    fn seen(&self) -> Vec<TopicPosition> {
        let mut bytes = 0;
        self.positions
            .newest_first()
            .take_while(|(topic, _)| {
                bytes += topic.as_str().len() + POSITION_OVERHEAD_BYTES;
                bytes <= SINCE_BYTES_MAX
            })
            .map(|(topic, position)| TopicPosition {
                topic: topic.clone(),
                position: *position,
            })
            .collect()
    }

    pub(super) const fn set_flow(&mut self, flow: Flow) {
        self.flow = flow;
    }

    pub(super) const fn handle_lost(&mut self) {
        self.phase = Phase::Unsent;
    }

    /// The server confirmed the subscription, and said where its topic stands.
    pub(super) fn handle_subscribed(&mut self, pattern: &Pattern, position: Option<Position>) {
        self.phase = Phase::Live;
        let is_first = !core::mem::replace(&mut self.was_live, true);
        if let (Some(topic), Some(position)) = (pattern.exact(), position) {
            // Where the retained latest value follows, it has not been seen yet.
            let nothing_follows = position.offset == 0 || (is_first && self.start == Start::New);
            if nothing_follows {
                self.positions.touch(&topic, || position);
            }
        }
    }

    pub(super) fn handle_reset(&mut self, topic: &Topic, position: Position) {
        if position.offset == 0 && position.epoch != 0 {
            *self.positions.touch(topic, || position) = position;
        } else {
            self.positions.remove(topic);
        }
    }

    /// Whether a publication is for this subscription and new to it; if so, it counts as seen.
    pub(super) fn accept<P>(&mut self, publication: &Publication<P>) -> bool {
        if self.phase != Phase::Live {
            return false;
        }
        let position = publication.position;
        let is_known = self
            .positions
            .get(&publication.topic)
            .is_some_and(|seen| seen.epoch == position.epoch && seen.offset >= position.offset);
        if !is_known {
            *self.positions.touch(&publication.topic, || position) = position;
        }
        !is_known
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }
}
