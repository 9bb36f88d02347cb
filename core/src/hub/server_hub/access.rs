//! How clients connect and authenticate, and what counts as a sign of life.

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

/// The authentication that the host has to do.
#[derive(Debug)]
pub(super) struct Authentication {
    /// Tokens that clients sent and the host has not taken yet.
    tokens: VecDeque<(ConnectionId, String)>,
    /// The grant of clients that need no authentication, shared by all of them.
    everything: Arc<Grant>,
}

impl Authentication {
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
        self.handle_open_as(now, &Access::open(self.authentication.everything.clone()))
    }

    /// A client has connected; `access` is what is known about it.
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

    /// Makes the subscription that a client gets without asking durable, under this name: [`Session::handle_device`].
    pub fn handle_device(&mut self, id: ConnectionId, name: DurableName) {
        if let Some(session) = self.session(id) {
            session.handle_device(name);
        }
    }

    /// Opens the session of a client that is authenticated already, without waiting for its first frame.
    pub fn handle_welcome(&mut self, now: Instant, id: ConnectionId) {
        self.with_session(now, id, |session| session.handle_welcome(now));
    }

    /// Bytes of an incomplete message arrived: [`Session::handle_part`].
    pub fn handle_part(&mut self, now: Instant, id: ConnectionId, bytes: usize) {
        self.with_session(now, id, |session| session.handle_part(now, bytes));
    }

    /// A control frame of the transport arrived, not within a message: [`Session::handle_control`].
    pub fn handle_control(&mut self, now: Instant, id: ConnectionId) {
        self.with_session(now, id, |session| session.handle_control(now));
    }

    /// The next token to check. The host finds out what its bearer may do and reports it to
    /// [`ServerHub::handle_authenticated`]. Drain this until `None` whenever draining [`ServerHub::poll_output`].
    pub fn poll_token(&mut self) -> Option<(ConnectionId, String)> {
        self.authentication.tokens.pop_front()
    }

    /// What the bearer of a token may do, or why it was refused. Ignored if the connection has gone meanwhile.
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

    /// Returns whether a client's frames wait for its token to be checked. Meanwhile, the host should read no more of
    /// them.
    pub fn is_asking(&mut self, id: ConnectionId) -> bool {
        self.find(id).is_some()
            && self
                .session(id)
                .is_some_and(|session| Session::is_asking(session))
    }
}
