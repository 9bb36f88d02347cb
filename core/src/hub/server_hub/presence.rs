//! The presences of a server's sessions: watchers and other servers get their changes.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

use super::{ConnectionId, ServerHub};
use crate::payload::Payload;
use crate::presence::{
    Key, PresenceBody, PresenceCounts, PresenceDiff, PresenceId, PresenceMessage, PresenceOutput,
    PresenceState, Roster, TrackError, TrackId, Tracker, TrackerConfig,
};
use crate::protocol::ServerFrame;
use crate::time::Instant;
use crate::topic::Topic;

/// The presences that a server knows about, and the connections that watch them.
#[derive(Debug)]
pub(super) struct Presences<P> {
    pub(super) tracker: Tracker<P>,
    watchers: BTreeMap<Topic, BTreeSet<ConnectionId>>,
    watches: BTreeMap<ConnectionId, BTreeSet<Topic>>,
    /// Watches that missed a diff because too much was waiting for their connection. They are sent the whole state
    /// again.
    behind: BTreeSet<(ConnectionId, Topic)>,
    messages: VecDeque<PresenceMessage<P>>,
}

impl<P: Payload + Clone> Presences<P> {
    pub(super) const fn new(config: TrackerConfig) -> Self {
        Self {
            tracker: Tracker::new(config),
            watchers: BTreeMap::new(),
            watches: BTreeMap::new(),
            behind: BTreeSet::new(),
            messages: VecDeque::new(),
        }
    }

    pub(super) fn unwatch(&mut self, id: ConnectionId, topic: &Topic) {
        if let Some(watches) = self.watches.get_mut(&id) {
            watches.remove(topic);
            if watches.is_empty() {
                self.watches.remove(&id);
            }
        }
        if let Some(watchers) = self.watchers.get_mut(topic) {
            watchers.remove(&id);
            if watchers.is_empty() {
                self.watchers.remove(topic);
            }
        }
        self.behind.remove(&(id, topic.clone()));
    }

    /// Returns whether any watch has missed diffs.
    pub(super) fn owes_states(&self) -> bool {
        !self.behind.is_empty()
    }

    /// The state of a topic whose diffs a connection has missed, for when nothing else waits for it.
    pub(super) fn next_state(&mut self, id: ConnectionId) -> Option<ServerFrame<P>> {
        // A shortcut: usually no watch has missed any.
        if !self.owes_states() {
            return None;
        }
        let watches = self.watches.get(&id)?;
        let topic = watches
            .iter()
            .find(|topic| self.behind.remove(&(id, (*topic).clone())))?;
        let roster = self.tracker.roster(topic);
        Some(ServerFrame::PresenceState(Arc::new(PresenceState {
            topic: topic.clone(),
            present: roster.into_iter().flat_map(Roster::present).collect(),
        })))
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Makes a key present in a topic for a local connection, until the connection closes. Another call with the same
    /// number replaces the presence.
    ///
    /// # Errors
    /// As [`TrackError`] says. Nothing has changed then.
    pub fn handle_track(
        &mut self,
        now: Instant,
        id: ConnectionId,
        number: u64,
        topic: Topic,
        key: Key,
        meta: P,
    ) -> Result<(), TrackError> {
        if self.find(id).is_none() {
            return Ok(());
        }
        let tracked = self.track(now, id, number, topic, key, meta);
        self.drain_hub(now);
        tracked.map(|_| ())
    }

    /// Ends a presence of a local connection.
    pub fn handle_untrack(&mut self, now: Instant, id: ConnectionId, number: u64) {
        self.untrack(now, id, number);
        self.drain_hub(now);
    }

    /// Sends a local connection the presences of a topic: their state, then diffs.
    pub fn handle_watch(&mut self, now: Instant, id: ConnectionId, topic: &Topic) {
        if self.find(id).is_some() {
            self.watch(now, id, topic.clone());
        }
    }

    /// Stops sending a local connection the presences of a topic.
    pub fn handle_unwatch(&mut self, id: ConnectionId, topic: &Topic) {
        self.presences.unwatch(id, topic);
    }

    pub(super) fn track(
        &mut self,
        now: Instant,
        id: ConnectionId,
        number: u64,
        topic: Topic,
        key: Key,
        meta: P,
    ) -> Result<PresenceId, TrackError> {
        let track = track_id(id, number);
        let tracker = &mut self.presences.tracker;
        tracker.handle_track(now, track, topic, key, meta)
    }

    pub(super) fn untrack(&mut self, now: Instant, id: ConnectionId, number: u64) {
        let tracker = &mut self.presences.tracker;
        tracker.handle_untrack(now, track_id(id, number));
    }

    /// What a session's client may do has changed: ends the presences that it no longer allows.
    pub(super) fn review_tracks(&mut self, now: Instant, id: ConnectionId) {
        let of_session = track_id(id, 0).session;
        let tracks = self.presences.tracker.tracks_of(of_session);
        let tracks = tracks.map(|(number, topic, key)| (number, topic.clone(), key.clone()));
        let tracks = tracks.collect();
        let over = self
            .session(id)
            .map(|session| session.handle_tracks(tracks))
            .unwrap_or_default();
        for number in over {
            self.untrack(now, id, number);
        }
    }

    pub(super) fn watch(&mut self, now: Instant, id: ConnectionId, topic: Topic) {
        let state = self.presences.tracker.handle_watch(&topic);
        // Diffs that are due belong to earlier watchers only; the state already includes them.
        self.drain_presences(now);
        if self.find(id).is_none() {
            return;
        }
        let presences = &mut self.presences;
        let watches = presences.watches.entry(id).or_default();
        watches.insert(topic.clone());
        presences.watchers.entry(topic).or_default().insert(id);
        self.send(id.index, ServerFrame::PresenceState(Arc::new(state)));
    }

    /// A connection closes: its presences and watches end.
    pub(super) fn leave_all(&mut self, now: Instant, id: ConnectionId) {
        let watches = self.presences.watches.remove(&id);
        for topic in watches.into_iter().flatten() {
            self.presences.unwatch(id, &topic);
        }
        let session = track_id(id, 0).session;
        self.presences.tracker.handle_session_closed(now, session);
    }

    /// The link to the other servers is up, for the first time or again. From here on, the host broadcasts what
    /// [`ServerHub::poll_presence`], [`ServerHub::poll_claims`] and [`ServerHub::poll_disconnects`] return to all
    /// servers, and passes what they broadcast to [`ServerHub::handle_presence_heard`], [`ServerHub::handle_claims`]
    /// and [`ServerHub::handle_disconnects_heard`].
    pub fn handle_servers_linked(&mut self, now: Instant) {
        self.groups.link(now);
        self.disconnects.link(now);
        self.presences.tracker.handle_linked(now);
        self.drain_hub(now);
    }

    /// A message about presences arrived from another server. This server's own messages may come back here, too.
    pub fn handle_presence_heard(&mut self, now: Instant, message: PresenceMessage<P>) {
        let is_own = message.from == self.config.presence.node;
        if !is_own && matches!(message.body, PresenceBody::Hello) {
            self.disconnects.announce_again(now);
        }
        self.presences.tracker.handle_message(now, message);
        self.drain_hub(now);
    }

    /// The process is about to end: tells the other servers, so that this server's presences leave at once, and stores
    /// what was acknowledged.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.presences.tracker.handle_shutdown(now);
        self.drain_hub(now);
        self.store_last_durables(now);
    }

    /// The next message to broadcast to the other servers. It may be lost, repeated or reordered.
    pub fn poll_presence(&mut self) -> Option<PresenceMessage<P>> {
        self.presences.messages.pop_front()
    }

    /// Who is present in a topic; `None` if nobody is.
    pub fn presence(&self, topic: &Topic) -> Option<&Roster<P>> {
        self.presences.tracker.roster(topic)
    }

    /// How many presences there are.
    pub fn presence_counts(&self) -> PresenceCounts {
        self.presences.tracker.counts()
    }

    /// Passes changes of presences on to watchers and other servers.
    pub(super) fn drain_presences(&mut self, now: Instant) {
        while let Some(output) = self.presences.tracker.poll_output() {
            match output {
                PresenceOutput::Send(message) => self.presences.messages.push_back(message),
                PresenceOutput::Diff { diff, .. } => self.notify_watchers(now, &diff),
            }
        }
    }

    fn notify_watchers(&mut self, now: Instant, diff: &Arc<PresenceDiff<P>>) {
        let watchers = self.presences.watchers.get(&diff.topic);
        for id in watchers.cloned().unwrap_or_default() {
            let behind = (id, diff.topic.clone());
            let waiting = self.waiting_bytes(id);
            if self.find(id).is_none() || self.presences.behind.contains(&behind) {
                continue;
            }
            if waiting > self.config.outbox_bytes_max {
                self.presences.behind.insert(behind);
                continue;
            }
            self.send(id.index, ServerFrame::PresenceDiff(Arc::clone(diff)));
            self.close_if_overfull(now, id.index);
        }
    }
}

const fn track_id(id: ConnectionId, number: u64) -> TrackId {
    TrackId {
        session: (id.generation as u64) << 32 | id.index as u64,
        number,
    }
}
