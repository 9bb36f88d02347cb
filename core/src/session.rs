//! The server's side of one connection: what its client may ask for, and whether it is alive.
//!
//! ```text
//!             first frame               drain                   grace over
//!  Opening ───────────────▶ Open ───────────────▶ Draining ───────────────▶ Closed
//!     │                      │                                                ▲
//!     └── hello too late ────┴── no sign of life, fatal error ────────────────┘
//! ```

mod output;
mod presence;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};

use crate::flow::{Flow, FlowError};
use crate::hub::{PublishError, SubscribeError, Subscribed, SubscriptionId};
use crate::lifecycle::EndReason;
use crate::limits::{GROUP_BYTES_MAX, HELLO_FIELD_BYTES_MAX};
use crate::protocol::{ClientFrame, ErrorCode, GroupTerm, ServerFrame, Start, WireError};
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

pub use output::{CloseReason, SessionConfig, SessionOutput, SharedBy};

/// The server's side of one connection.
///
/// `handle_frame`, `handle_bad_frame`, `handle_drain`, the answers (`handle_subscribed`, `handle_published`,
/// `handle_flow_refused`, `handle_end`), `handle_superseded` and `handle_timeout`; after each, `poll_output` until `None`.
#[derive(Debug)]
pub struct Session<P> {
    config: SessionConfig,
    state: State,
    subscriptions: BTreeMap<Pattern, SubscriptionId>,
    /// Asked for, and not answered yet.
    pending: BTreeSet<Pattern>,
    /// Whose presences it is told of.
    watches: BTreeSet<Topic>,
    is_stale: bool,
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
    /// The session of a connection that was opened `now`.
    pub fn new(now: Instant, config: SessionConfig) -> Self {
        Self {
            state: State::Opening {
                until: now + config.hello_timeout,
            },
            config,
            subscriptions: BTreeMap::new(),
            pending: BTreeSet::new(),
            watches: BTreeSet::new(),
            is_stale: false,
            output: VecDeque::new(),
        }
    }

    /// The client sent a frame.
    pub fn handle_frame(&mut self, now: Instant, frame: ClientFrame<P>) {
        if !self.handle_sign_of_life(now) {
            return;
        }
        match frame {
            ClientFrame::Hello {
                token,
                client,
                group,
            } => self.greet(token, client, group),
            ClientFrame::Subscribe {
                pattern,
                flow,
                start,
            } => self.subscribe(pattern, flow, start),
            ClientFrame::Unsubscribe { pattern } => self.unsubscribe(pattern),
            ClientFrame::Flow { pattern, flow } => match self.subscriptions.get(&pattern) {
                Some(subscription) => self.output.push_back(SessionOutput::Flow {
                    subscription: *subscription,
                    pattern,
                    flow,
                }),
                None if self.pending.contains(&pattern) => {
                    self.output
                        .push_back(SessionOutput::FlowAhead { pattern, flow });
                }
                None => self.not_subscribed(pattern),
            },
            ClientFrame::Publish { request, publish } => {
                self.output
                    .push_back(SessionOutput::Publish { request, publish });
            }
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
        let shared_by = SharedBy { group, token };
        self.output.push_back(SessionOutput::Lead(shared_by, term));
    }

    /// The tabs that share this connection have one of a later term.
    pub fn handle_superseded(&mut self) {
        let error = WireError::new(
            ErrorCode::Superseded,
            "the tabs that share this connection have a later one; use that",
        );
        self.send(ServerFrame::Error(error.fatal()));
        self.close(CloseReason::Superseded);
    }

    /// Notes that the client is alive, and opens the session with its first frame.
    fn handle_sign_of_life(&mut self, now: Instant) -> bool {
        match self.state {
            State::Opening { .. } => {
                self.send(ServerFrame::Welcome {
                    heartbeat_ms: u64::try_from(self.config.heartbeat.as_millis())
                        .unwrap_or(u64::MAX),
                });
                self.state = State::Open {
                    heard: now,
                    pinged: None,
                };
                if self.is_stale {
                    self.send(ServerFrame::Stale);
                }
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

    fn subscribe(&mut self, pattern: Pattern, flow: Flow, start: Start) {
        let error = if matches!(self.state, State::Draining { .. }) {
            WireError::new(
                ErrorCode::Draining,
                "the server is going away; connect again",
            )
        } else if self.subscriptions.contains_key(&pattern) || self.pending.contains(&pattern) {
            WireError::new(
                ErrorCode::AlreadySubscribed,
                "this connection has a subscription with this pattern; change it with a flow frame",
            )
        } else if self.subscriptions.len() + self.pending.len() >= self.config.subscriptions_max {
            WireError::new(
                ErrorCode::TooManySubscriptions,
                alloc::format!(
                    "a connection may have {} subscriptions; use a pattern, or unsubscribe from some",
                    self.config.subscriptions_max
                ),
            )
        } else {
            self.pending.insert(pattern.clone());
            self.output.push_back(SessionOutput::Subscribe {
                pattern,
                flow,
                start,
            });
            return;
        };
        self.send(ServerFrame::Error(error.about_pattern(pattern)));
    }

    fn unsubscribe(&mut self, pattern: Pattern) {
        match self.subscriptions.remove(&pattern) {
            Some(id) => {
                self.output.push_back(SessionOutput::Unsubscribe(id));
                self.send(ServerFrame::Unsubscribed { pattern });
            }
            None if self.pending.remove(&pattern) => {
                self.output
                    .push_back(SessionOutput::Withdraw(pattern.clone()));
                self.send(ServerFrame::Unsubscribed { pattern });
            }
            None => self.not_subscribed(pattern),
        }
    }

    fn not_subscribed(&mut self, pattern: Pattern) {
        let error = WireError::new(
            ErrorCode::NotSubscribed,
            "this connection has no subscription with this pattern; it may have ended",
        );
        self.send(ServerFrame::Error(error.about_pattern(pattern)));
    }

    /// The client sent something that is no frame. It is told; the session goes on.
    pub fn handle_bad_frame(&mut self, now: Instant, error: WireError) {
        if !self.handle_sign_of_life(now) {
            return;
        }
        if error.fatal {
            self.fail(error);
        } else {
            self.send(ServerFrame::Error(error));
        }
    }

    /// What came of [`SessionOutput::Subscribe`].
    pub fn handle_subscribed(
        &mut self,
        pattern: Pattern,
        flow: Flow,
        result: Result<Subscribed, SubscribeError>,
    ) {
        self.pending.remove(&pattern);
        match result {
            Ok(subscribed) => {
                self.subscriptions.insert(pattern.clone(), subscribed.id);
                self.send(ServerFrame::Subscribed {
                    pattern,
                    position: subscribed.position,
                    recovered: subscribed.recovered,
                    flow,
                });
            }
            Err(error) => self.send(ServerFrame::Error(error.to_wire().about_pattern(pattern))),
        }
    }

    /// What came of [`SessionOutput::Publish`].
    pub fn handle_published(&mut self, request: u64, result: Result<Position, PublishError>) {
        self.send(match result {
            Ok(position) => ServerFrame::Published { request, position },
            Err(error) => ServerFrame::Error(error.to_wire().about_request(request)),
        });
    }

    /// [`SessionOutput::Flow`] was refused.
    pub fn handle_flow_refused(&mut self, pattern: Pattern, error: FlowError) {
        let error = WireError::new(ErrorCode::BadFlow, error.to_string());
        self.send(ServerFrame::Error(error.about_pattern(pattern)));
    }

    /// A subscription ended with its topic.
    pub fn handle_end(&mut self, pattern: Pattern, reason: EndReason) {
        self.subscriptions.remove(&pattern);
        self.send(ServerFrame::End { pattern, reason });
    }

    /// The server is going away: tells the client, and closes after a grace.
    pub fn handle_drain(&mut self, now: Instant) {
        match self.state {
            State::Opening { .. } | State::Open { .. } => {
                self.send(ServerFrame::Drain);
                self.state = State::Draining {
                    until: now + self.config.drain_grace,
                };
            }
            State::Draining { .. } | State::Closed => {}
        }
    }

    /// The hub has lost touch with where its topics live, or has found it again.
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

    /// The client takes too little for too long.
    pub fn handle_overfull(&mut self) {
        self.close(CloseReason::SlowConsumer);
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
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

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<SessionOutput<P>> {
        self.output.pop_front()
    }

    /// When [`Session::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
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

    /// What the session has subscribed to and has no answer for yet.
    pub fn pending(&self) -> impl Iterator<Item = &Pattern> {
        self.pending.iter()
    }

    /// The session's subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.subscriptions.values().copied()
    }
}
