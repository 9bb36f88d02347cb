//! A relay whose uplink is one connection: what a browser or a program drives.

mod durable;
mod moving;

use super::SubscribeError;
use super::due::{DownlinkId, Due, SubscriptionId};
use super::licence::{self, Changes};
use super::relay::{Interest, Relay, RelayDue};
use crate::client::{Client, ClientConfig, ClientEvent, ConnectionState, PresenceEvent};
use crate::flow::{Flow, FlowError};
use crate::payload::Payload;
use crate::presence::{Key, Roster};
use crate::protocol::{ClientFrame, PublishRequest, ServerFrame, SubscribeRequest, WireError};
use crate::publication::Position;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

use alloc::collections::VecDeque;
use alloc::string::String;

use durable::Durable;

/// What the host of a client hub must do, or pass on.
#[derive(Debug)]
pub enum ClientOutput<P> {
    /// Get a new token, and pass it to `handle_token` with this number.
    AskToken {
        /// The number of the question.
        request: u32,
    },
    /// Open a transport, and report the outcome to `handle_opened` or `handle_closed` with this number.
    Connect {
        /// The number of the attempt.
        link: u32,
    },
    /// Close that transport; whatever else arrives on it is ignored.
    Disconnect {
        /// The number of the attempt.
        link: u32,
    },
    /// Send a frame over the open transport.
    Send(ClientFrame<P>),
    /// The connection's state has changed.
    State(ConnectionState),
    /// Something is due to a downlink.
    Due(Due<P>),
    /// Something about presences.
    Presence(PresenceEvent<P>),
    /// A publish was answered.
    Published {
        /// The number that [`ClientHub::handle_publish`] returned.
        request: u64,
        /// The publication's position, or why the publish failed.
        result: Result<Position, WireError>,
    },
}

/// The hub of a program that has one connection to a server.
///
/// It has the calls of [`Client`] about the connection and those of [`Relay`] about subscriptions; after each, drain
/// [`ClientHub::poll_output`] until `None`.
#[derive(Debug)]
pub struct ClientHub<P> {
    pub(super) client: Client<P>,
    pub(super) relay: Relay<P>,
    durables: SortedMap<Pattern, Durable<P>>,
    output: VecDeque<ClientOutput<P>>,
    /// Counts what ends licences.
    pub(super) changes: Changes,
}

impl<P: Payload + Clone> ClientHub<P> {
    /// A hub that has not been asked to connect.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            client: Client::new(config),
            relay: Relay::new(),
            durables: SortedMap::new(),
            output: VecDeque::new(),
            changes: Changes::default(),
        }
    }

    /// A hub whose uplink is shared with others, and may deliver more finely than requested, so the hub paces each of
    /// its subscribers itself.
    pub fn shared(config: ClientConfig) -> Self {
        Self {
            relay: Relay::shared(),
            ..Self::new(config)
        }
    }

    /// The user wants a connection.
    pub fn handle_connect(&mut self, now: Instant) {
        self.client.handle_connect(now);
        self.drain(now);
    }

    /// A connection has become possible: if the client is waiting to retry, it retries at once.
    pub fn handle_reachable(&mut self, now: Instant) {
        self.client.handle_reachable(now);
        self.drain(now);
    }

    /// Somebody is waiting for the connection, or the network is back: [`Client::handle_hurry`].
    pub fn handle_hurry(&mut self, now: Instant) {
        self.client.handle_hurry(now);
        self.drain(now);
    }

    /// The user wants no connection any more: subscriptions and unanswered publishes end.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.client.handle_disconnect();
        self.drain(now);
    }

    /// The host has got a token, or has failed to: [`Client::handle_token`].
    pub fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        self.client.handle_token(now, request, token);
        self.drain(now);
    }

    /// The transport of `link` is open.
    pub fn handle_opened(&mut self, now: Instant, link: u32) {
        self.client.handle_opened(now, link);
        self.drain(now);
    }

    /// The transport of `link` is closed, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, link: u32) {
        self.client.handle_closed(now, link);
        self.drain(now);
    }

    /// A frame arrived over the transport of `link`.
    pub fn handle_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        self.client.handle_frame(now, link, frame);
        self.drain(now);
    }

    /// Subscribes a downlink to a pattern, now or once connected.
    ///
    /// The server sees all subscriptions to one pattern as one. If they choose policies for a slow connection, the
    /// server is asked for the one that loses least: see [`Slow`](crate::flow::Slow).
    ///
    /// For a durable subscription, the server remembers under its name what was processed, as reported by
    /// [`ClientHub::handle_handled`]. Whoever subscribes under that name later, from any device, gets the rest. So does
    /// a subscription here that joins others: it starts with what is not yet processed instead of the latest value. If
    /// the client already has a subscription to this pattern that isn't durable, it becomes durable; its subscribers
    /// get nothing twice and miss nothing.
    ///
    /// # Errors
    /// If the flow is out of range; if the pattern's subscriptions are, or would become, durable and one of them sets a
    /// policy for a slow connection; or if the pattern is durable under another name. A refusal by the server arrives
    /// as [`Due::Refused`].
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        let pattern = &request.pattern;
        let (is_durable, is_slow) = (request.durable.is_some(), request.slow.is_some());
        if (is_slow && (is_durable || self.is_durable(pattern)))
            || (is_durable && self.relay.says_slow(pattern))
        {
            return Err(SubscribeError::SlowDurable);
        }
        self.changes.note();
        let id = match request.durable.clone() {
            Some(name) => self.subscribe_durable(now, downlink, request, name)?,
            None => self.relay.handle_subscribe(now, downlink, request)?,
        };
        self.drain(now);
        Ok(id)
    }

    /// Ends a subscription.
    pub fn handle_unsubscribe(&mut self, now: Instant, id: SubscriptionId) {
        self.changes.note();
        self.relay.handle_unsubscribe(now, id);
        self.let_go(now, id);
        self.drain(now);
    }

    /// Changes the flow of a live subscription.
    ///
    /// # Errors
    /// If the flow is out of range; the old one stays.
    pub fn handle_flow(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Flow,
    ) -> Result<(), FlowError> {
        self.changes.note();
        self.relay.handle_flow(now, id, flow)?;
        self.note_flow(id, flow);
        self.drain(now);
        Ok(())
    }

    /// Publishes, now or once connected. The result arrives as [`ClientOutput::Published`] with the number returned
    /// here.
    pub fn handle_publish(&mut self, now: Instant, publish: PublishRequest<P>) -> u64 {
        let request = self.client.handle_publish(now, publish);
        self.drain(now);
        request
    }

    /// Makes a key present in a topic from now on: [`Client::handle_track`].
    pub fn handle_track(&mut self, now: Instant, topic: Topic, key: Key, meta: P) -> u64 {
        let number = self.client.handle_track(now, topic, key, meta);
        self.drain(now);
        number
    }

    /// Replaces the meta of a presence: [`Client::handle_retrack`].
    pub fn handle_retrack(&mut self, now: Instant, number: u64, meta: P) {
        self.client.handle_retrack(number, meta);
        self.drain(now);
    }

    /// Ends a presence.
    pub fn handle_untrack(&mut self, now: Instant, number: u64) {
        self.client.handle_untrack(number);
        self.drain(now);
    }

    /// Watches who is present in a topic: [`Client::handle_watch`].
    pub fn handle_watch(&mut self, now: Instant, topic: &Topic) {
        self.client.handle_watch(now, topic);
        self.drain(now);
    }

    /// Stops watching a topic.
    pub fn handle_unwatch(&mut self, now: Instant, topic: &Topic) {
        self.client.handle_unwatch(topic);
        self.drain(now);
    }

    /// Who is present in a watched topic: [`Client::roster`].
    pub fn roster(&self, topic: &Topic) -> Option<&Roster<P>> {
        self.client.roster(topic)
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.relay.handle_timeout(now);
        self.drain(now);
    }

    /// Passes interest up and publications down until neither machine has output left.
    fn drain(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.client.poll_output() {
                self.handle_event(now, event);
            } else if let Some(due) = self.relay.poll_output() {
                match due {
                    RelayDue::Interest(interest) => self.handle_interest(now, interest),
                    RelayDue::Due(due) => {
                        self.note_handed(now, &due);
                        self.output.push_back(ClientOutput::Due(due));
                    }
                }
            } else {
                return;
            }
        }
    }

    fn handle_interest(&mut self, now: Instant, interest: Interest) {
        match interest {
            Interest::Follow(mut request) => {
                // If the topic has ended, the device may still have publications of it to get from its cursor.
                request.durable = self.durable_name(&request.pattern);
                self.client.handle_subscribe(now, request);
            }
            Interest::Reflow { pattern, flow } => self.client.handle_flow(&pattern, flow),
            Interest::Slow { pattern, slow } => self.client.handle_slow(&pattern, slow),
            Interest::Rewind { pattern, start } => self.client.handle_rewind(&pattern, &start),
            Interest::Unfollow { pattern } => self.client.handle_unsubscribe(&pattern),
        }
    }

    fn handle_event(&mut self, now: Instant, event: ClientEvent<P>) {
        if licence::is_ended_by(&event) {
            self.changes.note();
        }
        match event {
            ClientEvent::AskToken { request } => {
                self.output.push_back(ClientOutput::AskToken { request });
            }
            ClientEvent::Connect { link } => self.output.push_back(ClientOutput::Connect { link }),
            ClientEvent::Disconnect { link } => {
                self.output.push_back(ClientOutput::Disconnect { link })
            }
            ClientEvent::Send(frame) => self.output.push_back(ClientOutput::Send(frame)),
            ClientEvent::State(state) => self.output.push_back(ClientOutput::State(state)),
            ClientEvent::Subscribed { pattern, .. } => self.relay.handle_subscribed(&pattern),
            ClientEvent::Rewinding { pattern, to_cursor } => {
                self.relay.handle_rewinding(&pattern, to_cursor);
            }
            ClientEvent::RepeatReset {
                pattern,
                topic,
                position,
            } => {
                let relay = &mut self.relay;
                relay.handle_repeat_reset(now, &pattern, &topic, position);
            }
            ClientEvent::Repeat {
                pattern,
                publication,
                is_latest,
            } => {
                let relay = &mut self.relay;
                relay.handle_repeat(now, &pattern, &publication, is_latest);
            }
            ClientEvent::Rewound { pattern } => self.relay.handle_rewound(now, &pattern),
            ClientEvent::Publication {
                pattern,
                publication,
            } => {
                self.relay.handle_publication(now, &pattern, &publication);
            }
            ClientEvent::Batch { pattern, items } => self.relay.handle_batch(now, &pattern, &items),
            ClientEvent::Reset {
                pattern,
                topic,
                position,
            } => self.relay.handle_reset(now, &pattern, &topic, position),
            ClientEvent::Lagged { pattern, missed } => self.relay.handle_lagged(&pattern, missed),
            ClientEvent::Ended { pattern, reason } => self.relay.handle_end(&pattern, reason),
            ClientEvent::Refused { pattern, error } => self.relay.handle_refused(&pattern, &error),
            ClientEvent::Answered { .. } => {}
            ClientEvent::Presence(event) => self.output.push_back(ClientOutput::Presence(event)),
            ClientEvent::Published { request, result } => {
                self.output
                    .push_back(ClientOutput::Published { request, result });
            }
        }
    }

    /// The next thing that the host must do or pass on.
    pub fn poll_output(&mut self) -> Option<ClientOutput<P>> {
        self.output.pop_front()
    }

    /// When [`ClientHub::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.client.poll_timeout(), self.relay.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The longest message that the server accepts, in bytes, if it has said so.
    pub const fn message_bytes_max(&self) -> Option<u64> {
        self.client.message_bytes_max()
    }

    /// How many publishes are waiting for their answer.
    pub fn unanswered(&self) -> usize {
        self.client.unanswered()
    }

    /// How many subscriptions there are below, and how many upstream.
    pub fn counts(&self) -> (usize, usize) {
        self.relay.counts()
    }
}
