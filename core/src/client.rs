//! The client's side of one connection: connecting, backing off, checking for signs of life, resubscribing and
//! resuming.
//!
//! ```text
//!              something to do                 opened
//!   Idle ──────────▶ (Asking ─▶) Opening ──────────────────▶ Open
//!    ▲ ▲                 ▲ │ no token │ failed, too slow      │ lost, silent, drained
//!    │ └─ nothing left ──┼─┴──────────┴──────────────┬────────┘
//!    │    to do          │         backoff over      ▼
//!    │                   └──────────────────────── Waiting
//!    │         handle_disconnect, fatal error
//!    └── any state but Idle goes to Closed, and from there only by handle_connect
//! ```
//!
//! A link is one attempt to connect, identified by a number. Reports about any link but the current one are ignored, so
//! a socket that dies slowly can't disturb its successor.

mod backoff;
mod config;
mod durable;
mod event;
mod hurry;
mod incoming;
mod leaving;
mod moving;
mod open;
mod presence;
mod renewal;
mod requests;
mod rewind;
mod room;
mod slow;
mod subscription;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::durable::Acks;
use crate::flow::Flow;
use crate::limits::EARLY_FRAMES_MAX;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ErrorCode, SubscribeRequest, WireError};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::Pattern;
pub use backoff::Backoff;
use open::Open;
use presence::Presences;
use renewal::Tokens;
use requests::Requests;
use subscription::Subscription;

pub use config::{ClientConfig, TokenSource};
pub use event::{ClientEvent, ClosedReason, ConnectionState, PresenceEvent};

/// The client's side of one connection.
///
/// `handle_connect`, `handle_token`, `handle_opened`, `handle_frame`, `handle_closed` and `handle_disconnect` are about
/// the connection; `handle_subscribe`, `handle_unsubscribe`, `handle_flow` and `handle_publish` carry out its user's
/// requests; `handle_timeout` is for deadlines. After each, drain `poll_output` until `None`.
#[derive(Debug)]
pub struct Client<P> {
    config: ClientConfig,
    state: State,
    backoff: Backoff,
    next_link: u32,
    subscriptions: OrderedMap<Pattern, Subscription<P>>,
    /// How many unsubscribes of each pattern are unanswered on this connection. Until they are answered, frames about
    /// the pattern belong to a subscription that was given up.
    leaving: SortedMap<Pattern, u32>,
    requests: Requests<P>,
    presences: Presences<P>,
    tokens: Tokens,
    /// When it last hurried.
    hurried: Option<Instant>,
    /// Acknowledgements to send for durable subscriptions.
    acks: SortedMap<Pattern, Acks>,
    /// The longest message that the server accepts, in bytes, as it last stated.
    message_bytes_max: Option<u64>,
    output: VecDeque<ClientEvent<P>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection is wanted, or there is nothing to do with one.
    Idle {
        is_wanted: bool,
    },
    Waiting {
        until: Instant,
    },
    /// Waiting for a token to connect with.
    Asking {
        until: Instant,
    },
    Opening {
        link: u32,
        until: Instant,
    },
    Open(Open),
    Closed,
}

impl<P: Payload + Clone> Client<P> {
    /// A client that has not been asked to connect.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            state: State::Idle { is_wanted: false },
            backoff: Backoff::new(config.seed, config.backoff_base, config.backoff_max),
            next_link: 0,
            subscriptions: OrderedMap::new(),
            leaving: SortedMap::new(),
            requests: Requests::new(config.seed, config.requests_max),
            presences: Presences::new(),
            tokens: Tokens::new(&config),
            hurried: None,
            acks: SortedMap::new(),
            message_bytes_max: None,
            output: VecDeque::new(),
            config,
        }
    }

    /// The user wants a connection.
    pub fn handle_connect(&mut self, now: Instant) {
        match self.state {
            State::Idle { .. } | State::Closed => self.connect(now),
            State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Open(_) => {}
        }
    }

    /// The user wants no connection any more: subscriptions and unanswered publishes end.
    pub fn handle_disconnect(&mut self) {
        self.close(ClosedReason::ByUser);
    }

    /// A connection has become possible: if the client is waiting to retry, it retries at once.
    pub fn handle_reachable(&mut self, now: Instant) {
        if matches!(self.state, State::Waiting { .. }) {
            self.backoff.reset();
            self.connect(now);
        }
    }

    fn connect(&mut self, now: Instant) {
        let attempt = self.backoff.attempt();
        self.output
            .push_back(ClientEvent::State(ConnectionState::Connecting { attempt }));
        if self.config.token == TokenSource::Asked {
            self.state = State::Asking {
                until: now + self.config.token_timeout,
            };
            self.ask_token();
        } else {
            self.open_transport(now);
        }
    }

    fn open_transport(&mut self, now: Instant) {
        self.next_link = self.next_link.wrapping_add(1);
        let link = self.next_link;
        self.state = State::Opening {
            link,
            until: now + self.config.connect_timeout,
        };
        self.output.push_back(ClientEvent::Connect { link });
    }

    /// The transport of `link` is open.
    pub fn handle_opened(&mut self, now: Instant, link: u32) {
        match self.state {
            State::Opening { link: current, .. } if current == link => {}
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {
                return;
            }
        }
        let waits = self.subscriptions.len() > EARLY_FRAMES_MAX;
        self.state = State::Open(Open::new(now, link, waits));
        self.send(ClientFrame::Hello {
            token: self.token(),
            client: self.config.name.clone(),
            group: self.config.group.clone(),
        });
        if !waits {
            self.send_subscriptions();
        }
    }

    fn send_subscriptions(&mut self) {
        let patterns: Vec<Pattern> = self.subscriptions.keys().cloned().collect();
        for pattern in patterns {
            if let Some(subscription) = self.subscriptions.get_mut(&pattern) {
                let frame = subscription.request(&pattern);
                self.output.push_back(ClientEvent::Send(frame));
            }
        }
    }

    /// The transport of `link` is closed, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, link: u32) {
        match self.state {
            State::Opening { link: current, .. } | State::Open(Open { link: current, .. })
                if current == link =>
            {
                self.lose(now);
            }
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {}
        }
    }

    fn has_work(&self) -> bool {
        !self.subscriptions.is_empty()
            || !self.requests.is_empty()
            || !self.presences.is_empty()
            || self.tokens.has_another_chance()
    }

    fn close(&mut self, reason: ClosedReason) {
        self.send_all_last_acks();
        match self.state {
            State::Opening { link, .. } | State::Open(Open { link, .. }) => {
                self.output.push_back(ClientEvent::Disconnect { link });
            }
            State::Idle { .. } | State::Waiting { .. } | State::Asking { .. } => {}
            State::Closed => return,
        }
        self.state = State::Closed;
        self.leaving.clear();
        self.tokens.handle_lost();
        let error = match &reason {
            ClosedReason::ByUser => {
                WireError::new(ErrorCode::ConnectionLost, "the client was closed")
            }
            ClosedReason::Refused(error) => error.clone(),
        };
        for request in self.requests.take_all() {
            let result = Err(error.clone().about_request(request));
            self.output
                .push_back(ClientEvent::Published { request, result });
        }
        let subscriptions = core::mem::take(&mut self.subscriptions);
        for pattern in subscriptions.keys().cloned() {
            let error = error.clone().about_pattern(pattern.clone());
            self.output
                .push_back(ClientEvent::Refused { pattern, error });
        }
        self.refuse_presences(&error);
        self.output
            .push_back(ClientEvent::State(ConnectionState::Closed(reason)));
    }

    /// Subscribes to a pattern. A second call for the same pattern replaces the first subscription. For a durable
    /// subscription, report what was processed to [`Client::handle_handled`].
    pub fn handle_subscribe(&mut self, now: Instant, request: SubscribeRequest) {
        let pattern = request.pattern.clone();
        self.handle_unsubscribe(&pattern);
        if request.durable.is_some() {
            self.acks.insert(pattern.clone(), Acks::default());
        }
        let mut subscription = Subscription::new(request);
        if self.may_ask() {
            let frame = subscription.request(&pattern);
            self.send(frame);
        }
        self.subscriptions.insert(&pattern, subscription);
        self.wake(now);
    }

    /// Ends a subscription.
    pub fn handle_unsubscribe(&mut self, pattern: &Pattern) {
        self.send_last_acks(pattern);
        if self.subscriptions.remove(pattern).is_some() && self.is_open() {
            self.leave(pattern);
            self.send(ClientFrame::Unsubscribe {
                pattern: pattern.clone(),
            });
        }
    }

    /// Changes a subscription's flow.
    pub fn handle_flow(&mut self, pattern: &Pattern, flow: Flow) {
        let is_open = self.is_open();
        if let Some(subscription) = self.subscriptions.get_mut(pattern) {
            subscription.set_flow(flow);
            if is_open {
                self.send(ClientFrame::Flow {
                    pattern: pattern.clone(),
                    flow,
                });
            }
        }
    }

    /// Returns whether requests may be sent to the server.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Open(Open {
                awaits_welcome: false,
                ..
            })
        )
    }

    /// Returns whether the server has welcomed this client.
    pub(super) const fn is_welcomed(&self) -> bool {
        matches!(
            self.state,
            State::Open(Open {
                awaits_welcome: false,
                heartbeat: Some(_),
                ..
            })
        )
    }

    /// There is something to do now: connects, if the client was only waiting for that.
    fn wake(&mut self, now: Instant) {
        if self.state == (State::Idle { is_wanted: true }) {
            self.connect(now);
        }
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.send_acks(now);
        match self.state {
            State::Waiting { until } if until <= now => {
                if self.has_work() {
                    self.connect(now);
                } else {
                    self.state = State::Idle { is_wanted: true };
                }
            }
            State::Asking { until } if until <= now => self.lose(now),
            State::Opening { link, until } if until <= now => self.abandon(now, link),
            State::Open(open) if open.leaves.is_some_and(|at| at <= now) => {
                self.abandon(now, open.link);
            }
            State::Open(open) if open.silence_ends(&self.config) <= now => match open.probed {
                // If timers run late, frames may have arrived but not been handed over, so silence proves nothing: send
                // a ping first.
                None if open.heartbeat.is_some() => {
                    self.state = State::Open(Open {
                        probed: Some(now),
                        ..open
                    });
                    self.ping();
                }
                None | Some(_) => self.abandon(now, open.link),
            },
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {}
        }
        self.renew(now);
    }

    fn send(&mut self, frame: ClientFrame<P>) {
        self.output.push_back(ClientEvent::Send(frame));
    }

    /// The next thing that the host must do or pass on.
    pub fn poll_output(&mut self) -> Option<ClientEvent<P>> {
        self.output.pop_front()
    }

    /// When [`Client::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } | State::Asking { until } | State::Opening { until, .. } => {
                Some(*until)
            }
            State::Open(open) => {
                let silent = open.silence_ends(&self.config);
                let others = [open.leaves, self.tokens.poll_timeout(), self.acks_due_at()];
                Some(others.into_iter().flatten().fold(silent, Instant::min))
            }
            State::Idle { .. } | State::Closed => None,
        }
    }
}
