//! Who the session's client is, and what it may do: asked before anything else is done, and again before it ends.

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

/// What is known of a client when it connects.
#[derive(Clone, Debug)]
pub struct Access {
    /// What it may do, where that is known. Otherwise its first frame must be a hello with a token.
    pub grant: Option<Arc<Grant>>,
    /// Whether tokens are looked at: the host answers each [`SessionOutput::Authenticate`]. Otherwise they mean nothing.
    pub asks: bool,
    /// When it was asked what it may do, if that was before it connects.
    pub since: Option<Instant>,
}

impl Access {
    /// Anyone may do what `grant` says, whatever token they show.
    pub const fn open(grant: Arc<Grant>) -> Self {
        Self {
            grant: Some(grant),
            asks: false,
            since: None,
        }
    }

    /// The client has shown who it is when it connected, and may show it again.
    pub const fn known(grant: Arc<Grant>) -> Self {
        Self {
            grant: Some(grant),
            asks: true,
            since: None,
        }
    }

    /// The same, where it was asked `at` this time who the client is.
    pub const fn known_since(grant: Arc<Grant>, at: Instant) -> Self {
        Self {
            grant: Some(grant),
            asks: true,
            since: Some(at),
        }
    }

    /// The client has to show who it is by its first frame.
    pub const fn asked() -> Self {
        Self {
            grant: None,
            asks: true,
            since: None,
        }
    }
}

/// How the client stands.
#[derive(Debug)]
pub(super) enum Standing<P> {
    /// Nobody knows who it is, and nothing is done for it.
    Unknown,
    /// It has shown a token. What it sent with and after it waits.
    Asking(VecDeque<ClientFrame<P>>),
    /// It may do this.
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
    /// Lets a frame of a client pass of which it is known what it may do. Others wait, or end the session.
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
                "this server asks who you are: the first frame must be hello with a token",
            )),
        }
        None
    }

    /// Takes the token out of a hello, where tokens are looked at, and has it looked at.
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

    /// What came of [`SessionOutput::Authenticate`].
    ///
    /// A client that was asked goes on, or is turned away. One that was known is welcomed again by its new grant, if that is
    /// for the same user: subscriptions, watches and presences that this one doesn't cover end. If it has shown a token that is none, it keeps its grant
    /// as long as that lasts.
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
                    "the new token is another user's; connect anew with it",
                ));
            }
            (known @ Standing::Known(_), Err(error)) => {
                self.standing = known;
                self.send(ServerFrame::Error(error));
            }
            (Standing::Unknown, _) => {}
        }
    }

    /// What the client is subscribed to without asking is durable, under this name. To be said before its first frame.
    pub fn handle_device(&mut self, name: DurableName) {
        self.device = Some(name);
    }

    /// The client need say nothing: who it is, is known.
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

    /// Whether a subscription with `pattern` is not allowed.
    pub(super) fn is_withheld(&self, pattern: &Pattern) -> bool {
        !self
            .grant()
            .is_some_and(|grant| grant.may_subscribe(pattern))
    }

    /// Who the client is, where that is known.
    pub fn user(&self) -> Option<&Arc<str>> {
        self.grant()?.user.as_ref()
    }

    /// When it was asked who the client is, or else when it connected.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// The connections of the client's user are ended.
    pub fn handle_disconnected(&mut self) {
        self.turn_away(disconnected());
    }

    /// Whether a token is being looked at, and the client's frames wait: a host should read no more of them meanwhile.
    pub const fn is_asking(&self) -> bool {
        matches!(self.standing, Standing::Asking(_))
    }

    /// When the client has to have shown a new token.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.grant()?.expires
    }

    pub(super) fn close_if_expired(&mut self, now: Instant) {
        if self.grant().is_some_and(|grant| grant.has_expired(now)) {
            self.turn_away(expired());
        }
    }

    /// Where what stands in the way may pass, the client is closed as one that may come again.
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

/// Nothing is said about whether any of the topics exist.
pub(super) fn withheld() -> WireError {
    WireError::new(
        ErrorCode::Forbidden,
        "what you may subscribe to doesn't cover the whole of this pattern",
    )
}

fn expired() -> WireError {
    WireError::new(
        ErrorCode::TokenExpired,
        "the token has expired; connect with a new one, or send it by hello before that",
    )
}

/// What somebody is told whose user's connections are ended.
pub(crate) fn disconnected() -> WireError {
    WireError::new(
        ErrorCode::Disconnected,
        "the connections of this user were ended; connect with a new token",
    )
}

pub(super) fn may_not_publish() -> WireError {
    WireError::new(ErrorCode::Forbidden, "you may not publish to this topic")
}

/// What somebody is told who publishes more often than [`SessionConfig::publish_rate`](super::SessionConfig::publish_rate) says.
pub fn publishes_too_often(wait: Duration) -> WireError {
    too_often("you publish too often", wait)
}

fn shows_too_often(wait: Duration) -> WireError {
    too_often("you show tokens too often", wait)
}

fn too_often(what: &str, wait: Duration) -> WireError {
    let wait_ms = wait.as_micros().div_ceil(1000);
    let message: String = alloc::format!("{what}; try again in {wait_ms} ms");
    WireError::new(ErrorCode::TooManyRequests, message)
}
