//! Authentication: who the client is and what it may do, checked before anything else, and again before the token
//! expires.

use core::time::Duration;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{CloseReason, Session, SessionOutput, State};
use crate::access::Grant;
use crate::durable::DurableName;
use crate::limits::{FRAMES_HELD_MAX, HELLO_FIELD_BYTES_MAX, TOKEN_RATE};
use crate::protocol::{ClientFrame, ErrorCode, ServerFrame, WireError};
use crate::time::Instant;
use crate::topic::Pattern;

/// What is known about a client when it connects.
#[derive(Clone, Debug)]
pub struct Access {
    /// What it may do, if that is known. Otherwise, its first frame must be a `hello` with a token.
    pub grant: Option<Arc<Grant>>,
    /// Whether tokens are checked: the host answers each [`SessionOutput::Authenticate`]. Otherwise, tokens are
    /// ignored.
    pub asks: bool,
    /// When the client's authentication was requested, if that was before it connects.
    pub since: Option<Instant>,
}

impl Access {
    /// Anyone may do what `grant` allows, whatever token they send.
    pub const fn open(grant: Arc<Grant>) -> Self {
        Self {
            grant: Some(grant),
            asks: false,
            since: None,
        }
    }

    /// The client has been authenticated already, and may send new tokens.
    pub const fn known(grant: Arc<Grant>) -> Self {
        Self {
            grant: Some(grant),
            asks: true,
            since: None,
        }
    }

    /// The same, for a client whose authentication was requested at the time `at`.
    pub const fn known_since(grant: Arc<Grant>, at: Instant) -> Self {
        Self {
            grant: Some(grant),
            asks: true,
            since: Some(at),
        }
    }

    /// The client must authenticate with its first frame.
    pub const fn asked() -> Self {
        Self {
            grant: None,
            asks: true,
            since: None,
        }
    }
}

/// The state of the client's authentication.
#[derive(Debug)]
pub(super) enum Standing<P> {
    /// The client is unknown, and no request of it is carried out.
    Unknown,
    /// The client has sent a token that is being checked. These frames, sent with or after it, wait.
    Asking(VecDeque<ClientFrame<P>>),
    /// The client is known, and may do this.
    Known(Arc<Grant>),
}

impl<P> From<&Access> for Standing<P> {
    fn from(access: &Access) -> Self {
        access
            .grant
            .as_ref()
            .map_or(Self::Unknown, |grant| Self::Known(grant.clone()))
    }
}

impl<P> Session<P> {
    /// Returns a frame that may be handled, because the client is known. Otherwise, the frame waits or ends the
    /// session.
    pub(super) fn admit(&mut self, now: Instant, frame: ClientFrame<P>) -> Option<ClientFrame<P>> {
        if matches!(self.state, State::Closed) {
            return None;
        }
        let frame = self.look_at_token(now, frame)?;
        match &mut self.standing {
            Standing::Known(_) => return Some(frame),
            Standing::Asking(held) if held.len() < FRAMES_HELD_MAX => held.push_back(frame),
            Standing::Asking(_) => self.fail(WireError::new(
                ErrorCode::TooManyRequests,
                alloc::format!(
                    "more than {FRAMES_HELD_MAX} frames before the answer to hello; wait for `welcome`"
                ),
            )),
            Standing::Unknown => self.turn_away(WireError::new(
                ErrorCode::Unauthorized,
                "this server requires a token: the first frame must be hello with one",
            )),
        }
        None
    }

    /// Takes the token out of a `hello` and has it checked, if tokens are checked.
    fn look_at_token(&mut self, now: Instant, mut frame: ClientFrame<P>) -> Option<ClientFrame<P>> {
        let ClientFrame::Hello { token, .. } = &mut frame else {
            return Some(frame);
        };
        let shown = if self.asks { token.take() } else { None };
        let Some(shown) = shown else {
            return Some(frame);
        };
        if shown.len() > HELLO_FIELD_BYTES_MAX {
            self.fail(WireError::new(
                ErrorCode::TooLarge,
                alloc::format!("a token may have {HELLO_FIELD_BYTES_MAX} bytes"),
            ));
            return None;
        }
        if let Err(wait) = self.shown.take(now, TOKEN_RATE) {
            let error = shows_too_often(wait);
            match self.standing {
                Standing::Known(_) => self.send(ServerFrame::Error(error)),
                Standing::Unknown | Standing::Asking(_) => self.fail(error),
            }
            return None;
        }
        if matches!(self.standing, Standing::Unknown) {
            self.standing = Standing::Asking(VecDeque::new());
            self.since = now;
        }
        self.output.push_back(SessionOutput::Authenticate(shown));
        Some(frame)
    }

    /// The result of [`SessionOutput::Authenticate`].
    ///
    /// An unknown client is admitted or turned away. A known one gets another `welcome` with its new grant, if that is
    /// for the same user; subscriptions, watches and presences that the new grant doesn't cover end. If its new token
    /// is invalid, it keeps its old grant until that expires.
    pub fn handle_authenticated(&mut self, now: Instant, result: Result<Arc<Grant>, WireError>) {
        if self.is_closed() {
            return;
        }
        match (
            core::mem::replace(&mut self.standing, Standing::Unknown),
            result,
        ) {
            (Standing::Asking(held), Ok(grant)) => {
                self.standing = Standing::Known(grant);
                for frame in held {
                    self.handle_frame(now, frame);
                }
            }
            (Standing::Asking(_), Err(error)) => self.turn_away(error),
            (Standing::Known(before), Ok(grant)) if grant.has_expired(now) => {
                self.standing = Standing::Known(before);
                self.send(ServerFrame::Error(expired()));
            }
            (Standing::Known(before), Ok(grant)) if grant.may_follow(&before) => {
                self.standing = Standing::Known(grant);
                self.end_what_is_not_granted();
                if matches!(self.state, State::Open { .. } | State::Draining { .. }) {
                    self.welcome(now);
                }
                if matches!(self.state, State::Open { .. }) {
                    self.join();
                }
            }
            (known @ Standing::Known(_), Ok(_)) => {
                self.standing = known;
                self.turn_away(WireError::new(
                    ErrorCode::Forbidden,
                    "the new token is another user's; connect again with it",
                ));
            }
            (known @ Standing::Known(_), Err(error)) => {
                self.standing = known;
                self.send(ServerFrame::Error(error));
            }
            (Standing::Unknown, _) => {}
        }
    }

    /// Makes the subscriptions that the client gets without asking durable, under this name. Must be called before its
    /// first frame.
    pub fn handle_device(&mut self, name: DurableName) {
        self.device = Some(name);
    }

    /// Opens the session without waiting for a frame, if the client is known.
    pub fn handle_welcome(&mut self, now: Instant) {
        if matches!(self.standing, Standing::Known(_)) {
            self.handle_sign_of_life(now);
        }
    }

    fn end_what_is_not_granted(&mut self) {
        let is_new = |pattern: &&Pattern| !self.subscriptions.contains_key(*pattern);
        let pending = self.pending.iter().filter(is_new);
        let known = self.subscriptions.keys().chain(pending);
        let uncovered: Vec<Pattern> = known
            .filter(|pattern| self.is_withheld(pattern))
            .cloned()
            .collect();
        for pattern in uncovered {
            if let Some(id) = self.subscriptions.remove(&pattern) {
                self.output.push_back(SessionOutput::Unsubscribe(id));
            }
            if self.pending.remove(&pattern) {
                self.output
                    .push_back(SessionOutput::Withdraw(pattern.clone()));
            }
            self.send(ServerFrame::Error(withheld().about_pattern(pattern)));
        }
        self.end_watches_not_granted();
        self.output.push_back(SessionOutput::ReviewTracks);
    }

    pub(super) fn grant(&self) -> Option<&Grant> {
        match &self.standing {
            Standing::Known(grant) => Some(grant),
            Standing::Unknown | Standing::Asking(_) => None,
        }
    }

    /// Returns whether a subscription with `pattern` is not allowed.
    pub(super) fn is_withheld(&self, pattern: &Pattern) -> bool {
        !self
            .grant()
            .is_some_and(|grant| grant.may_subscribe(pattern))
    }

    /// The user, if known.
    pub fn user(&self) -> Option<&Arc<str>> {
        self.grant()?.user.as_ref()
    }

    /// When the client's authentication was requested; otherwise, when it connected.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// The user's connections are being ended.
    pub fn handle_disconnected(&mut self) {
        self.turn_away(disconnected());
    }

    /// Returns whether a token is being checked, and the client's frames wait. Meanwhile, a host should read no more of
    /// them.
    pub const fn is_asking(&self) -> bool {
        matches!(self.standing, Standing::Asking(_))
    }

    /// When the client's token expires.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.grant()?.expires
    }

    pub(super) fn close_if_expired(&mut self, now: Instant) {
        if self.grant().is_some_and(|grant| grant.has_expired(now)) {
            self.turn_away(expired());
        }
    }

    /// Ends the session with a fatal error. The reason for closing tells whether the client may try again later.
    fn turn_away(&mut self, error: WireError) {
        let reason = if error.code == ErrorCode::TooManyConnections {
            CloseReason::TooManyConnections
        } else if error.code == ErrorCode::Unavailable {
            CloseReason::Unavailable
        } else if error.code == ErrorCode::Disconnected {
            CloseReason::Disconnected
        } else {
            CloseReason::Unauthorized
        };
        self.send(ServerFrame::Error(error.fatal()));
        self.close(reason);
    }
}

/// The message is the same whether or not any of the topics exist.
pub(super) fn withheld() -> WireError {
    WireError::new(
        ErrorCode::Forbidden,
        "what you may subscribe to doesn't cover the whole of this pattern",
    )
}

fn expired() -> WireError {
    WireError::new(
        ErrorCode::TokenExpired,
        "the token has expired; connect with a new one, or send one in a hello before that",
    )
}

/// The error for a client whose user's connections were ended.
pub(crate) fn disconnected() -> WireError {
    WireError::new(
        ErrorCode::Disconnected,
        "the connections of this user were ended; connect with a new token",
    )
}

pub(super) fn may_not_publish() -> WireError {
    WireError::new(ErrorCode::Forbidden, "you may not publish to this topic")
}

/// The error for a client that publishes more often than
/// [`SessionConfig::publish_rate`](super::SessionConfig::publish_rate) allows.
pub fn publishes_too_often(wait: Duration) -> WireError {
    too_often("you publish too often", wait)
}

fn shows_too_often(wait: Duration) -> WireError {
    too_often("you send tokens too often", wait)
}

fn too_often(what: &str, wait: Duration) -> WireError {
    let wait_ms = wait.as_micros().div_ceil(1000);
    let message: String = alloc::format!("{what}; try again in {wait_ms} ms");
    WireError::new(ErrorCode::TooManyRequests, message)
}
