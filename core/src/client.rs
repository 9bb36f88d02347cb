//! The client's side of one connection: connect, back off, prove it alive, subscribe again, resume.
//!
//! ```text
//!              something to do                 opened
//!   Idle ─────────────────────▶ Opening ───────────────────▶ Open
//!    ▲ ▲                        ▲     │ failed, too slow      │ lost, silent, drained
//!    │ └─ nothing left to do ───┼─────┴──────────────┬────────┘
//!    │                          │ backoff over       ▼
//!    │                          └──────────────── Waiting
//!    │         handle_disconnect, fatal error
//!    └── any state but Idle goes to Closed, and from there only by handle_connect
//! ```
//!
//! A link is one attempt at a connection, numbered. What a host reports of a link that is not the current
//! one is ignored, so that a socket that dies slowly cannot disturb its successor.

mod backoff;
mod requests;
mod subscription;

use core::time::Duration;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::flow::Flow;
use crate::lifecycle::EndReason;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ErrorCode, PublishRequest, ServerFrame, Start, WireError};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use backoff::Backoff;
use requests::Requests;
use subscription::Subscription;

/// How a client connects and how much it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Seeds jitter and idempotency keys. Give each client another one.
    pub seed: u64,
    /// Sent in hello: proves who the client is.
    pub token: Option<String>,
    /// Sent in hello: names the client's software.
    pub name: Option<String>,
    /// The first wait before connecting again lies between 0 and this; each further one may be twice as long.
    pub backoff_base: Duration,
    /// The longest wait before connecting again.
    pub backoff_max: Duration,
    /// A connection that lasted this long makes the next wait short again.
    pub stable_after: Duration,
    /// How long a connection may take to open and to be welcomed.
    pub connect_timeout: Duration,
    /// How long a silent connection has to answer a ping.
    pub probe_timeout: Duration,
    /// The most publishes that wait for their answer.
    pub requests_max: usize,
}

impl ClientConfig {
    /// Waits of up to 250 ms, doubling up to 20 s; 10 s to connect or to answer; 1,024 publishes.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            token: None,
            name: None,
            backoff_base: Duration::from_millis(250),
            backoff_max: Duration::from_secs(20),
            stable_after: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(10),
            requests_max: 1024,
        }
    }
}

/// The connection, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not connected: nothing to do yet, or waiting to connect again.
    Disconnected,
    /// A connection is being opened: the how-manieth in a row, from 0.
    Connecting {
        /// How many attempts failed since the last stable connection.
        attempt: u32,
    },
    /// The server has welcomed us.
    Connected,
    /// Over, until it is asked to connect again.
    Closed(ClosedReason),
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// Its user closed it.
    ByUser,
    /// The server refused it for good.
    Refused(WireError),
}

/// What a client's host must do or tell.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<P> {
    /// Open a transport, and tell by `handle_opened` or `handle_closed` with this number.
    Connect {
        /// The number of the attempt.
        link: u32,
    },
    /// Close that transport; nothing more of it is wanted.
    Disconnect {
        /// The number of the attempt.
        link: u32,
    },
    /// Send a frame over the open transport.
    Send(ClientFrame<P>),
    /// The connection's state has changed.
    State(ConnectionState),
    /// A subscription stands.
    Subscribed {
        /// Which one.
        pattern: Pattern,
        /// Whether it was resumed without loss.
        recovered: bool,
    },
    /// A publication that was not seen before.
    Publication {
        /// The subscription.
        pattern: Pattern,
        /// The publication.
        publication: Arc<Publication<P>>,
    },
    /// One emission of a collecting subscription.
    Batch {
        /// The subscription.
        pattern: Pattern,
        /// The publications, in order.
        items: Vec<Arc<Publication<P>>>,
    },
    /// What was missed of a topic is lost.
    Reset {
        /// The subscription.
        pattern: Pattern,
        /// The topic.
        topic: Topic,
        /// Where the topic stands.
        position: Position,
    },
    /// The connection was too slow: publications were dropped.
    Lagged {
        /// The subscription.
        pattern: Pattern,
        /// How many.
        missed: u64,
    },
    /// A subscription has ended with its topic.
    Ended {
        /// The subscription.
        pattern: Pattern,
        /// Why.
        reason: EndReason,
    },
    /// A subscription was refused, and is over.
    Refused {
        /// The subscription.
        pattern: Pattern,
        /// Why.
        error: WireError,
    },
    /// A publish was answered.
    Published {
        /// Its number.
        request: u64,
        /// Where it stands, or why it failed.
        result: Result<Position, WireError>,
    },
}

/// The client's side of one connection.
///
/// `handle_connect`, `handle_opened`, `handle_frame`, `handle_closed`, `handle_disconnect` tell of the connection,
/// `handle_subscribe`, `handle_unsubscribe`, `handle_flow`, `handle_publish` of its user's wishes, and
/// `handle_timeout` of time; after each, `poll_output` until `None`.
#[derive(Debug)]
pub struct Client<P> {
    config: ClientConfig,
    state: State,
    backoff: Backoff,
    next_link: u32,
    subscriptions: BTreeMap<Pattern, Subscription>,
    requests: Requests<P>,
    output: VecDeque<ClientEvent<P>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not wanted yet, or nothing to do.
    Idle {
        is_wanted: bool,
    },
    Waiting {
        until: Instant,
    },
    Opening {
        link: u32,
        until: Instant,
    },
    Open(Open),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    link: u32,
    since: Instant,
    heard: Instant,
    /// How long the server lets a connection be silent; unknown until it has welcomed us.
    heartbeat: Option<Duration>,
    probed: Option<Instant>,
}

impl<P: Payload + Clone> Client<P> {
    /// A client that has not been asked to connect.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            state: State::Idle { is_wanted: false },
            backoff: Backoff::new(config.seed, config.backoff_base, config.backoff_max),
            next_link: 0,
            subscriptions: BTreeMap::new(),
            requests: Requests::new(config.seed, config.requests_max),
            output: VecDeque::new(),
            config,
        }
    }

    /// The user wants a connection.
    pub fn handle_connect(&mut self, now: Instant) {
        match self.state {
            State::Idle { .. } | State::Closed => self.connect(now),
            State::Waiting { .. } | State::Opening { .. } | State::Open(_) => {}
        }
    }

    /// The user wants no connection any more: subscriptions and unanswered publishes are over.
    pub fn handle_disconnect(&mut self) {
        self.close(ClosedReason::ByUser);
    }

    fn connect(&mut self, now: Instant) {
        self.next_link = self.next_link.wrapping_add(1);
        let link = self.next_link;
        self.state = State::Opening {
            link,
            until: now + self.config.connect_timeout,
        };
        let attempt = self.backoff.attempt();
        self.output
            .push_back(ClientEvent::State(ConnectionState::Connecting { attempt }));
        self.output.push_back(ClientEvent::Connect { link });
    }

    /// The transport of `link` is open.
    pub fn handle_opened(&mut self, now: Instant, link: u32) {
        match self.state {
            State::Opening { link: current, .. } if current == link => {}
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {
                return;
            }
        }
        self.state = State::Open(Open {
            link,
            since: now,
            heard: now,
            heartbeat: None,
            probed: None,
        });
        self.send(ClientFrame::Hello {
            token: self.config.token.clone(),
            client: self.config.name.clone(),
        });
        for (pattern, subscription) in &mut self.subscriptions {
            let frame = subscription.request(pattern);
            self.output.push_back(ClientEvent::Send(frame));
        }
        for frame in self.requests.resend() {
            self.output.push_back(ClientEvent::Send(frame));
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
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {}
        }
    }

    /// The connection is gone: connect again after a while, if there is something to do.
    fn lose(&mut self, now: Instant) {
        if let State::Open(open) = self.state
            && now - open.since >= self.config.stable_after
        {
            self.backoff.reset();
        }
        for subscription in self.subscriptions.values_mut() {
            subscription.handle_lost();
        }
        self.state = if self.has_work() {
            State::Waiting {
                until: now + self.backoff.next_wait(),
            }
        } else {
            State::Idle { is_wanted: true }
        };
        self.output
            .push_back(ClientEvent::State(ConnectionState::Disconnected));
    }

    fn abandon(&mut self, now: Instant, link: u32) {
        self.output.push_back(ClientEvent::Disconnect { link });
        self.lose(now);
    }

    fn has_work(&self) -> bool {
        !self.subscriptions.is_empty() || !self.requests.is_empty()
    }

    fn close(&mut self, reason: ClosedReason) {
        match self.state {
            State::Opening { link, .. } | State::Open(Open { link, .. }) => {
                self.output.push_back(ClientEvent::Disconnect { link });
            }
            State::Idle { .. } | State::Waiting { .. } => {}
            State::Closed => return,
        }
        self.state = State::Closed;
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
        for pattern in core::mem::take(&mut self.subscriptions).into_keys() {
            let error = error.clone().about_pattern(pattern.clone());
            self.output
                .push_back(ClientEvent::Refused { pattern, error });
        }
        self.output
            .push_back(ClientEvent::State(ConnectionState::Closed(reason)));
    }

    /// Subscribes to a pattern that the client isn't subscribed to; a second call replaces the first.
    pub fn handle_subscribe(&mut self, now: Instant, pattern: &Pattern, flow: Flow, start: Start) {
        let mut subscription = Subscription::new(flow, start);
        if self.is_open() {
            let frame = subscription.request(pattern);
            self.send(frame);
        }
        self.subscriptions.insert(pattern.clone(), subscription);
        self.wake(now);
    }

    /// Ends a subscription.
    pub fn handle_unsubscribe(&mut self, pattern: &Pattern) {
        if self.subscriptions.remove(pattern).is_some() && self.is_open() {
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

    /// Publishes, now or once connected, and answers by [`ClientEvent::Published`] with the number returned.
    ///
    /// A publish without an idempotency key is given one, so that it can be repeated after a lost
    /// connection and still happens once.
    pub fn handle_publish(&mut self, now: Instant, publish: PublishRequest<P>) -> u64 {
        let is_open = self.is_open();
        match self.requests.add(publish) {
            Ok((request, frame)) => {
                if is_open {
                    self.send(frame);
                }
                self.wake(now);
                request
            }
            Err((request, error)) => {
                let result = Err(error);
                self.output
                    .push_back(ClientEvent::Published { request, result });
                request
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// There is something to do: an idle client that was told to connect does so.
    fn wake(&mut self, now: Instant) {
        if self.state == (State::Idle { is_wanted: true }) {
            self.connect(now);
        }
    }

    /// A frame came over the transport of `link`.
    pub fn handle_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        if open.link != link {
            return;
        }
        open.heard = now;
        open.probed = None;
        match frame {
            ServerFrame::Welcome { heartbeat_ms } => {
                open.heartbeat = Some(Duration::from_millis(heartbeat_ms));
                self.output
                    .push_back(ClientEvent::State(ConnectionState::Connected));
            }
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                ..
            } => {
                if let Some(subscription) = self.subscriptions.get_mut(&pattern) {
                    subscription.handle_subscribed(&pattern, position);
                    self.output
                        .push_back(ClientEvent::Subscribed { pattern, recovered });
                }
            }
            ServerFrame::Unsubscribed { .. } | ServerFrame::Pong => {}
            ServerFrame::Publication { publication, via } => {
                self.handle_publication(publication, via)
            }
            ServerFrame::Batch { items, via } => self.handle_batch(items, via),
            ServerFrame::Reset {
                topic,
                position,
                via,
            } => self.handle_reset(topic, position, via),
            ServerFrame::Lagged { pattern, missed } => {
                if self.is_live(&pattern) {
                    self.output
                        .push_back(ClientEvent::Lagged { pattern, missed });
                }
            }
            ServerFrame::End { pattern, reason } => {
                if self.is_live(&pattern) {
                    self.subscriptions.remove(&pattern);
                    self.output
                        .push_back(ClientEvent::Ended { pattern, reason });
                }
            }
            ServerFrame::Published { request, position } => {
                if self.requests.remove(request) {
                    let result = Ok(position);
                    self.output
                        .push_back(ClientEvent::Published { request, result });
                }
            }
            ServerFrame::Error(error) => self.handle_error(now, error),
            ServerFrame::Ping => self.send(ClientFrame::Pong),
            ServerFrame::Drain => self.abandon(now, link),
        }
    }

    fn is_live(&self, pattern: &Pattern) -> bool {
        self.subscriptions
            .get(pattern)
            .is_some_and(Subscription::is_live)
    }

    fn handle_publication(&mut self, publication: Arc<Publication<P>>, via: Option<Pattern>) {
        let pattern = via.unwrap_or_else(|| Pattern::from(publication.topic.clone()));
        if let Some(subscription) = self.subscriptions.get_mut(&pattern)
            && subscription.accept(&publication)
        {
            self.output.push_back(ClientEvent::Publication {
                pattern,
                publication,
            });
        }
    }

    fn handle_batch(&mut self, mut items: Vec<Arc<Publication<P>>>, via: Option<Pattern>) {
        let Some(first) = items.first() else { return };
        let pattern = via.unwrap_or_else(|| Pattern::from(first.topic.clone()));
        let Some(subscription) = self.subscriptions.get_mut(&pattern) else {
            return;
        };
        items.retain(|item| subscription.accept(item));
        if !items.is_empty() {
            self.output.push_back(ClientEvent::Batch { pattern, items });
        }
    }

    fn handle_reset(&mut self, topic: Topic, position: Position, via: Option<Pattern>) {
        let pattern = via.unwrap_or_else(|| Pattern::from(topic.clone()));
        if let Some(subscription) = self.subscriptions.get_mut(&pattern)
            && subscription.is_live()
        {
            subscription.handle_reset(&topic, position);
            self.output.push_back(ClientEvent::Reset {
                pattern,
                topic,
                position,
            });
        }
    }

    fn handle_error(&mut self, now: Instant, error: WireError) {
        if error.fatal {
            return self.handle_fatal(now, error);
        }
        if let Some(request) = error.request
            && self.requests.remove(request)
        {
            let result = Err(error);
            self.output
                .push_back(ClientEvent::Published { request, result });
            return;
        }
        // `NotSubscribed` answers an unsubscribe or a change of flow that crossed an end on its way.
        if let Some(pattern) = error.pattern.clone()
            && error.code != ErrorCode::NotSubscribed
            && self.subscriptions.remove(&pattern).is_some()
        {
            self.output
                .push_back(ClientEvent::Refused { pattern, error });
        }
    }

    fn handle_fatal(&mut self, now: Instant, error: WireError) {
        match error.code {
            ErrorCode::Timeout
            | ErrorCode::SlowConsumer
            | ErrorCode::Draining
            | ErrorCode::Internal => {
                if let State::Open(Open { link, .. }) = self.state {
                    self.abandon(now, link);
                }
            }
            ErrorCode::BadFrame
            | ErrorCode::BadTopic
            | ErrorCode::BadFlow
            | ErrorCode::AlreadySubscribed
            | ErrorCode::NotSubscribed
            | ErrorCode::TooManySubscriptions
            | ErrorCode::TooManyTopics
            | ErrorCode::TooManyRequests
            | ErrorCode::TooLarge
            | ErrorCode::TopicEnded
            | ErrorCode::Forbidden
            | ErrorCode::ConnectionLost => self.close(ClosedReason::Refused(error)),
        }
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Waiting { until } if until <= now => {
                if self.has_work() {
                    self.connect(now);
                } else {
                    self.state = State::Idle { is_wanted: true };
                }
            }
            State::Opening { link, until } if until <= now => self.abandon(now, link),
            State::Open(open) if self.silence_ends(&open) <= now => match open.probed {
                // A late timer may run before what has arrived is handed over, so silence is no proof: ask.
                None if open.heartbeat.is_some() => {
                    self.state = State::Open(Open {
                        probed: Some(now),
                        ..open
                    });
                    self.send(ClientFrame::Ping);
                }
                None | Some(_) => self.abandon(now, open.link),
            },
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {}
        }
    }

    /// When an open connection must be asked, or given up.
    fn silence_ends(&self, open: &Open) -> Instant {
        match (open.probed, open.heartbeat) {
            (Some(at), _) => at + self.config.probe_timeout,
            // The server pings after a heartbeat's silence; half of one more is for the way.
            (None, Some(heartbeat)) => open.heard + heartbeat + heartbeat / 2,
            (None, None) => open.since + self.config.connect_timeout,
        }
    }

    fn send(&mut self, frame: ClientFrame<P>) {
        self.output.push_back(ClientEvent::Send(frame));
    }

    /// What the host must do or tell next.
    pub fn poll_output(&mut self) -> Option<ClientEvent<P>> {
        self.output.pop_front()
    }

    /// When [`Client::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } | State::Opening { until, .. } => Some(*until),
            State::Open(open) => Some(self.silence_ends(open)),
            State::Idle { .. } | State::Closed => None,
        }
    }

    /// How many publishes wait for their answer.
    pub fn unanswered(&self) -> usize {
        self.requests.len()
    }
}
