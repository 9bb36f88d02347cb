//! One node's tracker of presences.

mod nodes;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::message::{PresenceBody, PresenceMessage};
use super::own::Own;
use super::peer::{Peer, Status};
use super::section::Entry;
use super::view::{Changes, View};
use super::{
    Key, KeyChange, NodeId, PresenceDiff, PresenceId, PresenceState, Roster, TrackError, TrackId,
    TrackerConfig,
};
use crate::payload::Payload;
use crate::time::Instant;
use crate::topic::Topic;

/// What a tracker's host must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceOutput<M> {
    /// Broadcast this to all other nodes. Best effort is enough.
    Send(PresenceMessage<M>),
    /// Send this to the topic's watchers.
    Diff {
        /// The change, by metas.
        diff: Arc<PresenceDiff<M>>,
        /// The change, by keys.
        changes: Vec<KeyChange<M>>,
    },
}

/// Figures about a tracker, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceCounts {
    /// Topics with presences.
    pub topics: usize,
    /// The metas of all of them.
    pub metas: usize,
    /// The metas that are this node's own.
    pub tracks: usize,
    /// Other nodes that are up.
    pub nodes: usize,
}

/// One node's tracker of presences.
///
/// `handle_track`, `handle_untrack`, `handle_session_closed` and `handle_watch` are about its sessions;
/// `handle_linked`, `handle_message` and `handle_shutdown` about the other nodes. After each, drain `poll_output` until
/// `None`. Until it is linked, a tracker is alone: it sends nothing and needs no heartbeat.
#[derive(Debug)]
pub struct Tracker<M> {
    config: TrackerConfig,
    own: Own<M>,
    peers: BTreeMap<NodeId, Peer<M>>,
    view: View<M>,
    link: Link,
    /// When changes were last sent.
    flushed_at: Option<Instant>,
    /// At most the earliest deadline of the peers.
    peers_due: Option<Instant>,
    output: VecDeque<PresenceOutput<M>>,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// There are no other nodes.
    Alone,
    Linked {
        /// The clock up to which changes were sent to the others.
        sent: u64,
        /// The clock after which changes have to be sent to them, even if there are none.
        owed: Option<u64>,
        heartbeat_at: Instant,
    },
    /// Bye has been sent.
    Over,
}

impl<M: Payload + Clone> Tracker<M> {
    /// A node without presences that is alone.
    pub const fn new(config: TrackerConfig) -> Self {
        Self {
            own: Own::new(&config.limits),
            config,
            peers: BTreeMap::new(),
            view: View::new(),
            link: Link::Alone,
            flushed_at: None,
            peers_due: None,
            output: VecDeque::new(),
        }
    }

    /// Makes `key` present in a topic for a session. Another call with the same `track` replaces the presence.
    ///
    /// # Errors
    /// As [`TrackError`] says. The previous presence stays then.
    pub fn handle_track(
        &mut self,
        now: Instant,
        track: TrackId,
        topic: Topic,
        key: Key,
        meta: M,
    ) -> Result<PresenceId, TrackError> {
        self.admit(track, &topic, &meta)?;
        self.remove(track);
        let entry = Entry { topic, key, meta };
        let clock = self.own.add(track, entry.clone());
        let id = self.own_id(clock);
        self.view.join(id, &entry);
        self.settle(now);
        Ok(id)
    }

    fn admit(&self, track: TrackId, topic: &Topic, meta: &M) -> Result<(), TrackError> {
        let limits = &self.config.limits;
        if matches!(self.link, Link::Over) {
            return Err(TrackError::ShuttingDown);
        }
        if meta.size() > limits.meta_bytes_max {
            return Err(TrackError::MetaTooLarge {
                bytes: meta.size(),
                bytes_max: limits.meta_bytes_max,
            });
        }
        let replaced = self.own.get(track);
        let is_there = replaced.is_some_and(|entry| entry.topic == *topic);
        if !is_there && self.view.metas(topic) >= limits.topic_metas_max {
            let metas_max = limits.topic_metas_max;
            return Err(TrackError::TopicFull { metas_max });
        }
        if replaced.is_some() {
            return Ok(());
        }
        if self.own.tracks_of(track.session).count() >= limits.session_tracks_max {
            let tracks_max = limits.session_tracks_max;
            return Err(TrackError::SessionFull { tracks_max });
        }
        if self.own.len() >= limits.tracks_max {
            let tracks_max = limits.tracks_max;
            return Err(TrackError::NodeFull { tracks_max });
        }
        Ok(())
    }

    /// Ends a presence. Returns whether there was one.
    pub fn handle_untrack(&mut self, now: Instant, track: TrackId) -> bool {
        let was_there = self.remove(track);
        self.settle(now);
        was_there
    }

    fn remove(&mut self, track: TrackId) -> bool {
        let Some((clock, entry)) = self.own.remove(track) else {
            return false;
        };
        let id = self.own_id(clock);
        self.view.leave(id, &entry);
        true
    }

    /// A session has closed: its presences end.
    pub fn handle_session_closed(&mut self, now: Instant, session: u64) {
        let tracks: Vec<TrackId> = self.own.tracks_of(session).collect();
        for track in tracks {
            self.remove(track);
        }
        self.settle(now);
    }

    /// A session's presences: their numbers, topics and keys.
    pub fn tracks_of(&self, session: u64) -> impl Iterator<Item = (u64, &Topic, &Key)> {
        self.own.tracks_of(session).filter_map(|track| {
            let entry = self.own.get(track)?;
            Some((track.number, &entry.topic, &entry.key))
        })
    }

    /// The state of a topic, for a new watcher. Diffs emitted from now on continue it; those already among the outputs
    /// are only for earlier watchers.
    pub fn handle_watch(&mut self, topic: &Topic) -> PresenceState<M> {
        if let Some(changes) = self.view.take(topic) {
            self.report(changes);
        }
        let roster = self.view.roster(topic);
        PresenceState {
            topic: topic.clone(),
            present: roster.into_iter().flat_map(Roster::present).collect(),
        }
    }

    /// Deadlines were reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.peers_due.is_some_and(|due| due <= now) {
            self.review_peers(now);
        }
        if let Link::Linked { heartbeat_at, .. } = &mut self.link
            && *heartbeat_at <= now
        {
            *heartbeat_at = now + self.config.heartbeat;
            self.owe(u64::MAX);
        }
        self.settle(now);
    }

    /// Sends what has changed, unless something was sent just now.
    fn settle(&mut self, now: Instant) {
        if self.has_changes()
            && self
                .flushed_at
                .is_none_or(|at| at + self.config.gather <= now)
        {
            self.flush(now);
        }
    }

    fn has_changes(&self) -> bool {
        let is_unsent = match self.link {
            Link::Linked { sent, owed, .. } => owed.is_some() || sent < self.own.clock(),
            Link::Alone | Link::Over => false,
        };
        is_unsent || self.view.has_changes()
    }

    fn flush(&mut self, now: Instant) {
        self.flushed_at = Some(now);
        while let Some(changes) = self.view.take_next() {
            self.report(changes);
        }
        let Link::Linked { sent, owed, .. } = self.link else {
            return;
        };
        let clock = self.own.clock();
        if owed.is_none() && sent == clock {
            return;
        }
        let since = owed.map_or(sent, |owed| owed.min(sent));
        let bytes_max = self.config.limits.message_bytes_max;
        for part in self.own.parts(since, bytes_max) {
            self.send(PresenceBody::Part(part));
        }
        self.link = Link::Linked {
            sent: clock,
            owed: None,
            heartbeat_at: now + self.config.heartbeat,
        };
    }

    fn report(&mut self, (diff, changes): Changes<M>) {
        let diff = Arc::new(diff);
        self.output
            .push_back(PresenceOutput::Diff { diff, changes });
    }

    fn send(&mut self, body: PresenceBody<M>) {
        let from = self.config.node;
        self.output
            .push_back(PresenceOutput::Send(PresenceMessage { from, body }));
    }

    const fn own_id(&self, clock: u64) -> PresenceId {
        id_of(self.config.node, clock)
    }

    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<PresenceOutput<M>> {
        self.output.pop_front()
    }

    /// When [`Tracker::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heartbeat = match self.link {
            Link::Linked { heartbeat_at, .. } => Some(heartbeat_at),
            Link::Alone | Link::Over => None,
        };
        let flushed_at = self.flushed_at.filter(|_| self.has_changes());
        let gathered = flushed_at.map(|at| at + self.config.gather);
        let deadlines = [heartbeat, gathered, self.peers_due];
        deadlines.into_iter().flatten().min()
    }

    /// Who is present in a topic, as watchers were last told; `None` if nobody is.
    pub fn roster(&self, topic: &Topic) -> Option<&Roster<M>> {
        self.view.roster(topic)
    }

    /// Identifies this run of this server.
    pub const fn node(&self) -> NodeId {
        self.config.node
    }

    /// Figures about the tracker, for metrics.
    pub fn counts(&self) -> PresenceCounts {
        let (topics, metas) = self.view.counts();
        let is_up = |peer: &&Peer<M>| peer.status == Status::Up;
        PresenceCounts {
            topics,
            metas,
            tracks: self.own.len(),
            nodes: self.peers.values().filter(is_up).count(),
        }
    }
}

const fn id_of(node: NodeId, clock: u64) -> PresenceId {
    PresenceId { node, clock }
}
