//! The server's side of one connection: what its client may request, and whether it is alive.
//!
//! ```text
//!             first frame               drain                   grace over
//!  Opening ───────────────▶ Open ───────────────▶ Draining ───────────────▶ Closed
//!     │                      │                                                ▲
//!     └── hello too late ────┴── no sign of life, fatal error ────────────────┘
//! ```
//!
//! If the server authenticates its clients, the first frame takes effect once the client is known.

mod access;
mod claim;
mod life;
mod output;
mod presence;
mod requests;

use core::time::Duration;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::access::Grant;
use crate::durable::DurableName;
use crate::hub::SubscriptionId;
use crate::limits::{GROUP_BYTES_MAX, HELLO_FIELD_BYTES_MAX};
use crate::protocol::{ClientFrame, ErrorCode, GroupTerm, ServerFrame, WireError};
use crate::rate::Bucket;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

use access::Standing;
pub(crate) use access::disconnected;
pub use access::{Access, publishes_too_often};
pub use claim::{Claim, ClaimEnvelope, ClaimsEnvelope, ClaimsType, SharedBy};
pub use output::{CloseReason, SessionConfig, SessionOutput};

/// The server's side of one connection.
///
/// `handle_frame`, `handle_bad_frame`, `handle_part`, `handle_control` and `handle_drain`; the answers to its outputs
/// (`handle_subscribed`, `handle_published`, `handle_flow_refused`, `handle_tracks`); `handle_end`,
/// `handle_superseded`, `handle_disconnected` and `handle_timeout`. After each, drain `poll_output` until `None`.
#[derive(Debug)]
pub struct Session<P> {
    config: SessionConfig,
    state: State,
    standing: Standing<P>,
    /// When the client's authentication was requested; otherwise, when it connected.
    since: Instant,
    /// Whether tokens are checked.
    asks: bool,
    published: Bucket,
    /// Limits how often tokens are checked.
    shown: Bucket,
    subscriptions: SortedMap<Pattern, SubscriptionId>,
    /// Requested, and not answered yet.
    pending: BTreeSet<Pattern>,
    /// The rooms that it is subscribed to without having requested them.
    joined: Vec<Pattern>,
    /// The name of the durable subscription to those rooms.
    device: Option<DurableName>,
    /// The watched topics, with the client's request numbers.
    watches: SortedMap<Topic, u64>,
    is_stale: bool,
    /// How many bytes of an incomplete message have arrived since the last sign of life.
    part_bytes: usize,
    output: VecDeque<SessionOutput<P>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Opening {
        until: Instant,
    },
    Open {
        heard: Instant,
        pinged: Option<Instant>,
    },
    Draining {
        until: Instant,
    },
    Closed,
}

impl<P> Session<P> {
    /// The session of a connection that was opened `now`, at a server that doesn't authenticate.
    pub fn new(now: Instant, config: SessionConfig) -> Self {
        let access = Access::open(Arc::new(Grant::everything()));
        Self::with_access(now, config, &access)
    }

    /// The session of a connection that was opened `now`.
    pub fn with_access(now: Instant, config: SessionConfig, access: &Access) -> Self {
        Self {
            standing: access.into(),
            since: access.since.unwrap_or(now),
            asks: access.asks,
            published: Bucket::new(),
            shown: Bucket::new(),
            state: State::Opening {
                until: now + config.hello_timeout,
            },
            config,
            subscriptions: SortedMap::new(),
            pending: BTreeSet::new(),
            joined: Vec::new(),
            device: None,
            watches: SortedMap::new(),
            is_stale: false,
            part_bytes: 0,
            output: VecDeque::new(),
        }
    }

    /// The client sent a frame.
    pub fn handle_frame(&mut self, now: Instant, frame: ClientFrame<P>) {
        let Some(frame) = self.admit(now, frame) else {
            return;
        };
        if !self.handle_sign_of_life(now) {
            return;
        }
        match frame {
            ClientFrame::Hello {
                token,
                client,
                group,
            } => self.greet(token, client, group),
            ClientFrame::Subscribe(request) => self.subscribe(request),
            ClientFrame::Unsubscribe { pattern } => self.unsubscribe(pattern),
            ClientFrame::Ack { pattern, positions } => {
                self.output
                    .push_back(SessionOutput::Ack { pattern, positions });
            }
            ClientFrame::Forget { pattern } => {
                self.output
                    .push_back(SessionOutput::Forget(pattern.clone()));
                self.unsubscribe(pattern);
            }
            ClientFrame::Flow { pattern, flow } => self.reflow(pattern, flow),
            ClientFrame::Publish { request, publish } => self.publish(now, request, publish),
            ClientFrame::Track {
                request,
                topic,
                key,
                meta,
            } => self.track(request, topic, key, meta),
            ClientFrame::Untrack { request } => {
                self.output.push_back(SessionOutput::Untrack { request });
            }
            ClientFrame::Watch { request, topic } => self.watch(request, topic),
            ClientFrame::Unwatch { topic } => self.unwatch(topic),
            ClientFrame::Ping => self.send(ServerFrame::Pong),
            ClientFrame::Pong => {}
        }
    }

    fn greet(&mut self, token: Option<String>, client: Option<String>, group: Option<GroupTerm>) {
        let known = [&token, &client];
        let longest = known.into_iter().flatten().map(String::len).max();
        if longest.is_some_and(|bytes| bytes > HELLO_FIELD_BYTES_MAX) {
            return self.fail(WireError::new(
                ErrorCode::TooLarge,
                alloc::format!("a member of hello is longer than {HELLO_FIELD_BYTES_MAX} bytes"),
            ));
        }
        let Some(GroupTerm { group, term }) = group else {
            return;
        };
        if group.is_empty() || group.len() > GROUP_BYTES_MAX {
            return self.fail(WireError::new(
                ErrorCode::BadFrame,
                alloc::format!("group must have 1 to {GROUP_BYTES_MAX} bytes"),
            ));
        }
        let user = self.user().cloned();
        let shared_by = SharedBy { group, user };
        self.output.push_back(SessionOutput::Lead(shared_by, term));
    }

    /// The tabs that share this connection have another one with a later term.
    pub fn handle_superseded(&mut self) {
        let error = WireError::new(
            ErrorCode::Superseded,
            "the tabs that share this connection have a later one; use that",
        );
        self.send(ServerFrame::Error(error.fatal()));
        self.close(CloseReason::Superseded);
    }

    /// Notes a sign of life, and opens the session with the first frame. Returns false if the session is closed.
    fn handle_sign_of_life(&mut self, now: Instant) -> bool {
        self.part_bytes = 0;
        match self.state {
            State::Opening { .. } => {
                self.welcome(now);
                self.state = State::Open {
                    heard: now,
                    pinged: None,
                };
                if self.is_stale {
                    self.send(ServerFrame::Stale);
                }
                self.join();
                true
            }
            State::Open { .. } => {
                self.state = State::Open {
                    heard: now,
                    pinged: None,
                };
                true
            }
            State::Draining { .. } => true,
            State::Closed => false,
        }
    }

    /// Tells the client how long it may be silent, and how long its token is valid.
    fn welcome(&mut self, now: Instant) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.send(ServerFrame::Welcome {
            heartbeat_ms: millis(self.config.heartbeat),
            expires_in_ms: self.expires().map(|at| millis(at - now)),
            message_bytes_max: self.config.message_bytes_max,
            publish_rate: self.config.publish_rate,
        });
    }

    /// The client sent something that is not a valid frame. It is told, and the session continues unless the error is
    /// fatal.
    pub fn handle_bad_frame(&mut self, now: Instant, error: WireError) {
        if !matches!(self.standing, Standing::Known(_)) {
            return self.fail(error);
        }
        if !self.handle_sign_of_life(now) {
            return;
        }
        if error.fatal {
            self.fail(error);
        } else {
            self.send(ServerFrame::Error(error));
        }
    }

    /// The server is shutting down: tells the client to leave within a time, and closes the connection after a grace
    /// period.
    pub fn handle_drain(&mut self, now: Instant, within: Duration) {
        match self.state {
            State::Opening { .. } | State::Open { .. } => {
                self.send(ServerFrame::Drain {
                    within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
                });
                self.state = State::Draining {
                    until: now + self.config.drain_grace,
                };
            }
            State::Draining { .. } | State::Closed => {}
        }
    }

    /// The hub has lost its link to the backend, or has it back.
    pub fn handle_stale(&mut self, is_stale: bool) {
        self.is_stale = is_stale;
        match self.state {
            State::Opening { .. } | State::Closed => {}
            State::Open { .. } | State::Draining { .. } if is_stale => {
                self.send(ServerFrame::Stale)
            }
            State::Open { .. } | State::Draining { .. } => self.send(ServerFrame::Live),
        }
    }

    /// The client has been too slow for too long.
    pub fn handle_overfull(&mut self) {
        self.close(CloseReason::SlowConsumer);
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.close_if_expired(now);
        match self.state {
            State::Opening { until } if until <= now => {
                let error = WireError::new(
                    ErrorCode::Timeout,
                    "no frame came; send hello or subscribe first",
                );
                self.send(ServerFrame::Error(error.fatal()));
                self.close(CloseReason::Timeout);
            }
            State::Open {
                pinged: Some(at), ..
            } if at + self.config.pong_timeout <= now => {
                self.close(CloseReason::Timeout);
            }
            State::Open {
                heard,
                pinged: None,
            } if heard + self.config.heartbeat <= now => {
                self.send(ServerFrame::Ping);
                self.state = State::Open {
                    heard,
                    pinged: Some(now),
                };
            }
            State::Draining { until } if until <= now => self.close(CloseReason::Drained),
            State::Opening { .. } | State::Open { .. } | State::Draining { .. } | State::Closed => {
            }
        }
    }

    fn fail(&mut self, error: WireError) {
        self.send(ServerFrame::Error(error.fatal()));
        self.close(CloseReason::Protocol);
    }

    fn close(&mut self, reason: CloseReason) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.output.push_back(SessionOutput::Close(reason));
        }
    }

    fn send(&mut self, frame: ServerFrame<P>) {
        if !matches!(self.state, State::Closed) {
            self.output.push_back(SessionOutput::Send(frame));
        }
    }

    /// What the owner must do next.
    pub fn poll_output(&mut self) -> Option<SessionOutput<P>> {
        let next = self.output.pop_front();
        if next.is_none() {
            // Most sessions are silent most of the time, so the memory of the queue is freed.
            self.output = VecDeque::new();
        }
        next
    }

    /// When [`Session::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.next_sign_of_life();
        next.map(|at| self.expires().map_or(at, |expires| at.min(expires)))
    }

    fn next_sign_of_life(&self) -> Option<Instant> {
        match self.state {
            State::Opening { until } | State::Draining { until } => Some(until),
            State::Open {
                pinged: Some(at), ..
            } => Some(at + self.config.pong_timeout),
            State::Open {
                heard,
                pinged: None,
            } => Some(heard + self.config.heartbeat),
            State::Closed => None,
        }
    }

    /// Returns whether the session has ended, and its connection is to be closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The patterns of subscriptions that have been requested but not answered.
    pub fn pending(&self) -> impl Iterator<Item = &Pattern> {
        self.pending.iter()
    }

    /// The session's subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.subscriptions.iter().map(|(_, id)| *id)
    }
}
