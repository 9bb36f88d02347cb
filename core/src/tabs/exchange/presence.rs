//! Presences for many members: each has its own, and each topic is watched once for all of them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Exchange;
use crate::client::PresenceEvent;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::presence::{Absent, Key, KeyChange, PresenceDiff, PresenceState};
use crate::protocol::ServerFrame;
use crate::sorted::SortedMap;
use crate::tabs::message::TabId;
use crate::time::Instant;
use crate::topic::Topic;

#[derive(Debug, Default)]
pub(super) struct Presences {
    /// The client's numbers for the members' presences, by the members' own numbers.
    tracks: SortedMap<(TabId, u64), u64>,
    watches: OrderedMap<Topic, Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    /// Whether members were sent the state.
    is_told: bool,
    /// The members that watch, with their request numbers.
    members: SortedMap<TabId, u64>,
}

impl<P: Payload + Clone> Exchange<P> {
    pub(super) fn track(
        &mut self,
        now: Instant,
        (member, request): (TabId, u64),
        topic: Topic,
        key: Key,
        meta: P,
    ) {
        match self.presences.tracks.get(&(member, request)) {
            Some(number) => self.client.handle_retrack(*number, meta),
            None => {
                let number = self.client.handle_track(now, topic, key, meta);
                self.presences.tracks.insert((member, request), number);
            }
        }
    }

    pub(super) fn untrack(&mut self, member: TabId, request: u64) {
        if let Some(number) = self.presences.tracks.remove(&(member, request)) {
            self.client.handle_untrack(number);
        }
    }

    pub(super) fn watch(&mut self, now: Instant, member: TabId, request: u64, topic: Topic) {
        let watches = &mut self.presences.watches;
        let watch = watches.or_insert_with(&topic, Watch::default);
        if watch.members.insert(member, request) {
            self.client.handle_watch(now, &topic);
        }
        if watch.is_told
            && let Some(state) = self.state_of(topic)
        {
            self.one(member, state);
        }
    }

    fn state_of(&self, topic: Topic) -> Option<ServerFrame<P>> {
        let present = self.client.roster(&topic)?.present().collect();
        let state = PresenceState { topic, present };
        Some(ServerFrame::PresenceState(Arc::new(state)))
    }

    pub(super) fn unwatch(&mut self, member: TabId, topic: &Topic) {
        let Some(watch) = self.presences.watches.get_mut(topic) else {
            return;
        };
        if watch.members.remove(&member).is_some() {
            self.client.handle_unwatch(topic);
        }
        if watch.members.is_empty() {
            self.presences.watches.remove(topic);
        }
    }

    /// A member has gone, and is no longer present anywhere.
    pub(super) fn leave_presences(&mut self, member: TabId) {
        let tracks = self.presences.tracks.range((member, u64::MIN)..);
        let tracks: Vec<u64> = tracks
            .take_while(|((tab, _), _)| *tab == member)
            .map(|((_, request), _)| *request)
            .collect();
        for request in tracks {
            self.untrack(member, request);
        }
        let watched = self.presences.watches.iter();
        let watched: Vec<Topic> = watched
            .filter(|(_, watch)| watch.members.contains_key(&member))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in watched {
            self.unwatch(member, &topic);
        }
    }

    pub(super) fn handle_presence(&mut self, event: PresenceEvent<P>) {
        match event {
            PresenceEvent::State { topic, .. } => {
                if let Some(watch) = self.presences.watches.get_mut(&topic) {
                    watch.is_told = true;
                }
                if let Some(state) = self.state_of(topic) {
                    self.all(state);
                }
            }
            PresenceEvent::Changed { topic, changes } => {
                let diff = diff(topic, changes);
                self.all(ServerFrame::PresenceDiff(Arc::new(diff)));
            }
            PresenceEvent::TrackRefused { number, error } => {
                let mut tracks = self.presences.tracks.iter();
                let refused = tracks.find(|(_, known)| **known == number);
                let refused = refused.map(|(asked, _)| *asked);
                drop(tracks);
                if let Some((member, request)) = refused {
                    self.presences.tracks.remove(&(member, request));
                    self.fail(member, error.about_request(request));
                }
            }
            PresenceEvent::WatchRefused { topic, error } => {
                let watch = self.presences.watches.remove(&topic).unwrap_or_default();
                for (member, request) in watch.members {
                    self.fail(member, error.clone().about_request(request));
                }
            }
        }
    }
}

/// The changes in the form in which the server sent them.
fn diff<P>(topic: Topic, changes: Vec<KeyChange<P>>) -> PresenceDiff<P> {
    let mut joins = Vec::new();
    let mut leaves = Vec::new();
    for change in changes {
        joins.extend(change.joins);
        let gone = change.leaves.into_iter().map(|gone| Absent {
            key: gone.key,
            id: gone.id,
        });
        leaves.extend(gone);
    }
    PresenceDiff {
        topic,
        joins,
        leaves,
    }
}
