//! Clients that connect, what a server asks about them, and what shows that they live.

use core::time::Duration;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;

use super::{ConnectionId, Downlink, ServerHub};
use crate::access::Grant;
use crate::durable::DurableName;
use crate::payload::Payload;
use crate::protocol::WireError;
use crate::session::{Access, Session};
use crate::time::Instant;

/// What the host is to find out.
#[derive(Debug)]
pub(super) struct Asking {
    /// What clients have shown, and nobody has looked at yet.
    tokens: VecDeque<(ConnectionId, String)>,
    /// The grant of clients whom nobody asks, shared by them.
    everything: Arc<Grant>,
}

impl Asking {
    pub(super) fn new() -> Self {
        Self {
            tokens: VecDeque::new(),
            everything: Arc::new(Grant::everything()),
        }
    }

    pub(super) fn push(&mut self, id: ConnectionId, token: String) {
        self.tokens.push_back((id, token));
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// A client has connected, and may do everything.
    pub fn handle_open(&mut self, now: Instant) -> ConnectionId {
        self.handle_open_as(now, &Access::open(self.asking.everything.clone()))
    }

    /// A client has connected, of which this is known.
    pub fn handle_open_as(&mut self, now: Instant, access: &Access) -> ConnectionId {
        let mut session = Session::with_access(now, self.config.session, access);
        if self.is_stale() {
            session.handle_stale(true);
        }
        let id = self.add(
            Downlink::Session(Box::new(session)),
            self.config.outbox_bytes_max,
        );
        if self.is_draining {
            self.with_session(now, id, |session| session.handle_drain(now, Duration::ZERO));
        }
        self.enter_opened(now, id, access);
        self.arm(id);
        id
    }

    /// What a client is subscribed to without asking is durable, under this name: [`Session::handle_device`].
    pub fn handle_device(&mut self, id: ConnectionId, name: DurableName) {
        if let Some(session) = self.session(id) {
            session.handle_device(name);
        }
    }

    /// A client that is known need not say anything first.
    pub fn handle_welcome(&mut self, now: Instant, id: ConnectionId) {
        self.with_session(now, id, |session| session.handle_welcome(now));
    }

    /// Bytes came of a client's message that is not complete yet: [`Session::handle_part`].
    pub fn handle_part(&mut self, now: Instant, id: ConnectionId, bytes: usize) {
        self.with_session(now, id, |session| session.handle_part(now, bytes));
    }

    /// A control frame of the transport came, while no message of the client was unfinished: [`Session::handle_control`].
    pub fn handle_control(&mut self, now: Instant, id: ConnectionId) {
        self.with_session(now, id, |session| session.handle_control(now));
    }

    /// The next token whose bearer a session asks about: the host finds out what they may do, and tells by
    /// [`ServerHub::handle_authenticated`]. To be called, until it is `None`, whenever [`ServerHub::poll_output`] is.
    pub fn poll_token(&mut self) -> Option<(ConnectionId, String)> {
        self.asking.tokens.pop_front()
    }

    /// What the bearer of a token may do, or why nothing. A connection that has gone meanwhile needs no answer.
    pub fn handle_authenticated(
        &mut self,
        now: Instant,
        id: ConnectionId,
        result: Result<Arc<Grant>, WireError>,
    ) {
        let result = result.and_then(|grant| self.admit_user(id, grant));
        self.with_session(now, id, |session| session.handle_authenticated(now, result));
        self.enter_user(id);
    }

    /// Whether a client's frames wait until its token has been looked at. Its host should read no more of them meanwhile.
    pub fn is_asking(&mut self, id: ConnectionId) -> bool {
        self.find(id).is_some()
            && self
                .session(id)
                .is_some_and(|session| Session::is_asking(session))
    }
}
