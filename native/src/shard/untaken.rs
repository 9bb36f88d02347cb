//! What connections were given and have not accepted: in a socket's unsent bytes, and in the frames that a local reader
//! has not read. The hub counts these as delivered; operators want to see them as lag.

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

/// The positions of the publications that one connection has not accepted.
#[derive(Debug, Default)]
pub(super) struct Untaken(Vec<(Topic, Position)>);

impl Untaken {
    /// The positions of publications given in this order. Of consecutive ones in the same topic, only the first counts.
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

    /// The positions of the publications in frames.
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

/// The first publication in a frame, taken out of it.
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
    /// Whether it has not accepted everything that it was given.
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
    /// The most recently touched topics, as this shard sees them.
    pub(super) fn survey(&mut self, now: Instant, most: usize) -> Vec<TopicSeen> {
        // What is about to be written is not lag.
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

    /// What slow connections cost, including those that have left nothing at the hub.
    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = self.hub.backlog();
        let endpoints = self.endpoints.iter().flatten();
        let stuck = endpoints.filter(|it| it.is_stuck() && !self.hub.is_behind(it.id));
        backlog.connections += stuck.count();
        backlog
    }
}
