//! What connections were given and have not taken: in a socket's unsent bytes, in the frames that a local reader has not
//! read. The hub counts these as delivered; whoever looks at it wants to know better.

use std::sync::Arc;

use tidegate_core::hub::{Backlog, Surveyed};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::command::TopicSeen;
use super::{Endpoint, EndpointKind, Shard};
use crate::json::Json;

/// The most positions that one survey looks at, so that it holds nobody up.
const POSITIONS_MAX: usize = 100_000;

/// Where the publications stand that one connection has not taken.
#[derive(Debug, Default)]
pub(super) struct Untaken(Vec<(Topic, Position)>);

impl Untaken {
    /// Those of publications that were given in this order. Of what follows in the same topic, the first one counts.
    pub(super) fn of<'a>(publications: impl Iterator<Item = &'a Arc<Publication<Json>>>) -> Self {
        let mut positions: Vec<(Topic, Position)> = Vec::new();
        for publication in publications {
            let last = positions.last();
            if last.is_none_or(|(topic, _)| *topic != publication.topic) {
                positions.push((publication.topic.clone(), publication.position));
            }
        }
        Self(positions)
    }

    pub(super) fn positions(&self) -> &[(Topic, Position)] {
        &self.0
    }

    /// Those in frames.
    pub(super) fn in_frames<'a>(frames: impl Iterator<Item = &'a ServerFrame<Json>>) -> Self {
        Self::of(frames.filter_map(first_publication))
    }
}

/// The first publication in a frame.
fn first_publication(frame: &ServerFrame<Json>) -> Option<&Arc<Publication<Json>>> {
    if let ServerFrame::Publication { publication, .. } | ServerFrame::Delta { publication, .. } =
        frame
    {
        Some(publication)
    } else if let ServerFrame::Batch { items, .. } = frame {
        items.first()
    } else {
        None
    }
}

/// The same, taken out of a frame that nobody needs any more.
pub(super) fn into_first_publication(frame: ServerFrame<Json>) -> Option<Arc<Publication<Json>>> {
    match frame {
        ServerFrame::Publication { publication, .. } | ServerFrame::Delta { publication, .. } => {
            Some(publication)
        }
        ServerFrame::Batch { items, .. } => items.into_iter().next(),
        _ => None,
    }
}

impl Endpoint {
    /// Whether it has not taken what it was given.
    pub(super) fn is_stuck(&self) -> bool {
        match &self.kind {
            EndpointKind::Socket(socket) => socket.is_stuck(),
            EndpointKind::Events(socket) => socket.is_stuck(),
            EndpointKind::Local(queue) => queue.is_full(),
        }
    }

    fn collect_untaken(&self, positions: &mut Vec<(Topic, Position)>) {
        match &self.kind {
            EndpointKind::Socket(socket) => positions.extend_from_slice(socket.untaken()),
            EndpointKind::Events(socket) => positions.extend_from_slice(socket.untaken()),
            EndpointKind::Local(queue) => positions.extend_from_slice(queue.untaken().positions()),
        }
    }
}

impl Shard {
    /// The topics that were touched last, as this shard sees them.
    pub(super) fn survey(&mut self, now: Instant, most: usize) -> Vec<TopicSeen> {
        // What is about to leave is nobody's lag.
        self.drain();
        let mut positions = Vec::new();
        for endpoint in self.endpoints.iter().flatten() {
            endpoint.collect_untaken(&mut positions);
            if positions.len() >= POSITIONS_MAX {
                break;
            }
        }
        let seen = |it: Surveyed<Json>| TopicSeen {
            topic: it.topic,
            position: it.position,
            subscribers: it.subscribers,
            lag: it.lag,
            idle: now - it.touched,
            latest: it.latest,
        };
        let surveyed = self.hub.survey(most, &positions);
        surveyed.into_iter().map(seen).collect()
    }

    /// What slow connections cost, those included that have left nothing at the hub.
    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = self.hub.backlog();
        let endpoints = self.endpoints.iter().flatten();
        let stuck = endpoints.filter(|it| it.is_stuck() && !self.hub.is_behind(it.id));
        backlog.connections += stuck.count();
        backlog
    }
}
