//! What a client may ask about presences.

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
            return self.refuse(request, may_not("be present here under this key"));
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
            self.refuse(request, may_not("know who is present here"));
        } else if self.watches.contains(&topic) {
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
            self.watches.insert(topic.clone());
            self.output.push_back(SessionOutput::Watch(topic));
        }
    }

    pub(super) fn unwatch(&mut self, topic: Topic) {
        if self.watches.remove(&topic) {
            self.output.push_back(SessionOutput::Unwatch(topic));
        }
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

fn may_not(what: &str) -> WireError {
    WireError::new(ErrorCode::Forbidden, alloc::format!("you may not {what}"))
}
