//! A client's requests about presences.

use alloc::vec::Vec;

use super::{Session, SessionOutput, State};
use crate::presence::{Key, TrackError};
use crate::protocol::{ErrorCode, ServerFrame, WireError};
use crate::topic::Topic;

impl<P> Session<P> {
    pub(super) fn track(&mut self, request: u64, topic: Topic, key: Key, meta: P) {
        if self.is_draining() {
            return self.refuse(request, draining());
        }
        let is_granted = self
            .grant()
            .is_some_and(|grant| grant.may_track(&topic, key.as_str()));
        if !is_granted {
            return self.refuse(request, may_not_be_present());
        }
        self.output.push_back(SessionOutput::Track {
            request,
            topic,
            key,
            meta,
        });
    }

    /// [`SessionOutput::Track`] was refused.
    pub fn handle_track_refused(&mut self, request: u64, error: &TrackError) {
        self.refuse(request, error.to_wire());
    }

    pub(super) fn watch(&mut self, request: u64, topic: Topic) {
        let watches_max = self.config.subscriptions_max;
        if self.is_draining() {
            self.refuse(request, draining());
        } else if !self.grant().is_some_and(|grant| grant.may_watch(&topic)) {
            self.refuse(request, may_not_watch());
        } else if self.watches.contains_key(&topic) {
            let error = WireError::new(
                ErrorCode::AlreadySubscribed,
                "this connection watches the topic already",
            );
            self.refuse(request, error);
        } else if self.watches.len() >= watches_max {
            let error = WireError::new(
                ErrorCode::TooManySubscriptions,
                alloc::format!("a connection may watch {watches_max} topics; unwatch some"),
            );
            self.refuse(request, error);
        } else {
            self.watches.insert(topic.clone(), request);
            self.output.push_back(SessionOutput::Watch(topic));
        }
    }

    pub(super) fn unwatch(&mut self, topic: Topic) {
        if self.watches.remove(&topic).is_some() {
            self.output.push_back(SessionOutput::Unwatch(topic));
        }
    }

    /// Ends the watches that a new grant doesn't cover. The client is told, because what it knows of the presences is
    /// no longer updated.
    pub(super) fn end_watches_not_granted(&mut self) {
        let may_watch = |topic| self.grant().is_some_and(|grant| grant.may_watch(topic));
        let unseen = self.watches.iter().filter(|(topic, _)| !may_watch(topic));
        let unseen: Vec<(Topic, u64)> = unseen
            .map(|(topic, request)| (topic.clone(), *request))
            .collect();
        for (topic, request) in unseen {
            self.unwatch(topic);
            self.refuse(request, may_not_watch());
        }
    }

    /// The answer to [`SessionOutput::ReviewTracks`]: the client's presences, by its numbers. Returns those that its
    /// grant doesn't cover, which end.
    pub fn handle_tracks(&mut self, tracks: Vec<(u64, Topic, Key)>) -> Vec<u64> {
        let may_track = |topic: &Topic, key: &Key| {
            self.grant()
                .is_some_and(|grant| grant.may_track(topic, key.as_str()))
        };
        let over = tracks
            .iter()
            .filter(|(_, topic, key)| !may_track(topic, key))
            .map(|(request, ..)| *request);
        let over: Vec<u64> = over.collect();
        for request in &over {
            self.refuse(*request, may_not_be_present());
        }
        over
    }

    const fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. })
    }

    fn refuse(&mut self, request: u64, error: WireError) {
        self.send(ServerFrame::Error(error.about_request(request)));
    }
}

fn draining() -> WireError {
    WireError::new(
        ErrorCode::Draining,
        "the server is going away; connect again",
    )
}

fn may_not_be_present() -> WireError {
    may_not("be present here under this key")
}

fn may_not_watch() -> WireError {
    may_not("know who is present here")
}

fn may_not(what: &str) -> WireError {
    WireError::new(ErrorCode::Forbidden, alloc::format!("you may not {what}"))
}
