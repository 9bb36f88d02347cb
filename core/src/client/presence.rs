//! A client's presences and watches. Both are sent again on each connection.

use alloc::vec::Vec;

use super::{Client, ClientEvent, PresenceEvent};
use crate::payload::Payload;
use crate::presence::{Key, PresenceDiff, PresenceState, Roster};
use crate::protocol::{ClientFrame, WireError};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::Topic;

#[derive(Debug)]
pub(super) struct Presences<P> {
    tracks: SortedMap<u64, Track<P>>,
    watches: SortedMap<Topic, Watch<P>>,
}

#[derive(Debug)]
struct Track<P> {
    topic: Topic,
    key: Key,
    meta: P,
}

#[derive(Debug)]
struct Watch<P> {
    /// How many callers watch it.
    watchers: u32,
    request: u64,
    /// Whether the state has arrived on this connection; diffs before it belong to an earlier watch.
    is_live: bool,
    roster: Roster<P>,
}

impl<P: Clone> Presences<P> {
    pub(super) const fn new() -> Self {
        Self {
            tracks: SortedMap::new(),
            watches: SortedMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tracks.is_empty() && self.watches.is_empty()
    }

    pub(super) fn handle_lost(&mut self) {
        for watch in self.watches.values_mut() {
            watch.is_live = false;
        }
    }
}

impl<P: Clone> Track<P> {
    fn frame(&self, number: u64) -> ClientFrame<P> {
        ClientFrame::Track {
            request: number,
            topic: self.topic.clone(),
            key: self.key.clone(),
            meta: self.meta.clone(),
        }
    }
}

impl<P: Payload + Clone> Client<P> {
    /// Makes a key present in a topic from now on, or once connected, and on every later connection. Returns the
    /// presence's number.
    pub fn handle_track(&mut self, now: Instant, topic: Topic, key: Key, meta: P) -> u64 {
        let number = self.requests.number();
        self.set_track(number, Track { topic, key, meta });
        self.wake(now);
        number
    }

    /// Replaces the meta of a presence. One that was refused or has ended stays so.
    pub fn handle_retrack(&mut self, number: u64, meta: P) {
        if let Some(track) = self.presences.tracks.remove(&number) {
            self.set_track(number, Track { meta, ..track });
        }
    }

    fn set_track(&mut self, number: u64, track: Track<P>) {
        self.presences.tracks.insert(number, track);
        if self.is_welcomed() && self.may_ask() {
            self.send_track(number);
        }
    }

    /// Sends a presence, unless it is too long for the server.
    fn send_track(&mut self, number: u64) {
        let Some(track) = self.presences.tracks.get(&number) else {
            return;
        };
        let text_bytes = track.topic.as_str().len() + track.key.as_str().len();
        match self.check("meta", &track.meta, text_bytes) {
            Ok(()) => self.send(track.frame(number)),
            Err(error) => {
                self.presences.tracks.remove(&number);
                let error = error.about_request(number);
                self.tell(PresenceEvent::TrackRefused { number, error });
            }
        }
    }

    /// Ends a presence.
    pub fn handle_untrack(&mut self, number: u64) {
        if self.presences.tracks.remove(&number).is_some() && self.is_welcomed() {
            self.send(ClientFrame::Untrack { request: number });
        }
    }

    /// Watches who is present in a topic. Each call must be ended by a call of [`Client::handle_unwatch`].
    ///
    /// The state arrives as [`PresenceEvent::State`], unless it is known already: see [`Client::roster`].
    pub fn handle_watch(&mut self, now: Instant, topic: &Topic) {
        if let Some(watch) = self.presences.watches.get_mut(topic) {
            watch.watchers += 1;
            return;
        }
        let request = self.requests.number();
        if self.is_welcomed() && self.may_ask() {
            self.send(ClientFrame::Watch {
                request,
                topic: topic.clone(),
            });
        }
        let watch = Watch {
            watchers: 1,
            request,
            is_live: false,
            roster: Roster::new(),
        };
        self.presences.watches.insert(topic.clone(), watch);
        self.wake(now);
    }

    /// Ends one call's watch of a topic.
    pub fn handle_unwatch(&mut self, topic: &Topic) {
        let Some(watch) = self.presences.watches.get_mut(topic) else {
            return;
        };
        watch.watchers -= 1;
        if watch.watchers > 0 {
            return;
        }
        self.presences.watches.remove(topic);
        if self.is_welcomed() {
            self.send(ClientFrame::Unwatch {
                topic: topic.clone(),
            });
        }
    }

    /// Who is present in a watched topic, as far as is known; empty until the first state has arrived.
    pub fn roster(&self, topic: &Topic) -> Option<&Roster<P>> {
        self.presences.watches.get(topic).map(|watch| &watch.roster)
    }

    /// Sends all presences and watches on a new connection. Presences come first, so that the states include them.
    pub(super) fn send_presences(&mut self) {
        let tracks: Vec<u64> = self.presences.tracks.keys().copied().collect();
        for number in tracks {
            self.send_track(number);
        }
        for (topic, watch) in self.presences.watches.iter() {
            self.output.push_back(ClientEvent::Send(ClientFrame::Watch {
                request: watch.request,
                topic: topic.clone(),
            }));
        }
    }

    pub(super) fn handle_presence_state(&mut self, state: &PresenceState<P>) {
        if let Some(watch) = self.presences.watches.get_mut(&state.topic) {
            watch.is_live = true;
            let changes = watch.roster.handle_state(&state.present);
            let topic = state.topic.clone();
            self.tell(PresenceEvent::State { topic, changes });
        }
    }

    pub(super) fn handle_presence_diff(&mut self, diff: &PresenceDiff<P>) {
        if let Some(watch) = self.presences.watches.get_mut(&diff.topic)
            && watch.is_live
        {
            let changes = watch.roster.handle_diff(diff);
            if !changes.is_empty() {
                let topic = diff.topic.clone();
                self.tell(PresenceEvent::Changed { topic, changes });
            }
        }
    }

    /// A request with this number was refused that was not a publish.
    pub(super) fn handle_presence_error(&mut self, request: u64, error: WireError) {
        if self.presences.tracks.remove(&request).is_some() {
            let number = request;
            return self.tell(PresenceEvent::TrackRefused { number, error });
        }
        let refused = self
            .presences
            .watches
            .iter()
            .find(|(_, watch)| watch.request == request)
            .map(|(topic, _)| topic.clone());
        if let Some(topic) = refused {
            self.presences.watches.remove(&topic);
            self.tell(PresenceEvent::WatchRefused { topic, error });
        }
    }

    /// The client is closed: refuses all presences and watches.
    pub(super) fn refuse_presences(&mut self, error: &WireError) {
        for number in core::mem::take(&mut self.presences.tracks).into_keys() {
            let error = error.clone().about_request(number);
            self.tell(PresenceEvent::TrackRefused { number, error });
        }
        for (topic, watch) in core::mem::take(&mut self.presences.watches) {
            let error = error.clone().about_request(watch.request);
            self.tell(PresenceEvent::WatchRefused { topic, error });
        }
    }

    fn tell(&mut self, event: PresenceEvent<P>) {
        self.output.push_back(ClientEvent::Presence(event));
    }
}
