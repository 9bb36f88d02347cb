//! The hubs, which route publications. They assemble the core's machines, and hosts drive them.
//!
//! - [`Hub`] owns its topics: it assigns offsets, keeps histories, routes, paces, and ends topics.
//! - [`ServerHub`] is a `Hub` together with the sessions of its connections; a server drives it.
//! - [`Relay`] follows an uplink: it paces its own subscribers, ends their subscriptions, and aggregates their
//!   interest.
//! - [`ClientHub`] is a `Relay` together with the client of its one connection; a browser or a program drives it.
//!
//! All are machines of the same shape: `handle_*` says what happened, `poll_output` is drained until `None`, and
//! `poll_timeout` says when `handle_timeout` must be called at the latest.

mod client_hub;
mod config;
mod disconnect;
mod due;
mod error;
mod licence;
mod mirror;
mod owed;
mod relay;
mod replica;
mod routing;
mod server_hub;
mod spreading;
mod start;
mod store;
mod subscribers;
mod survey;
mod topics;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::flow::{Flow, FlowError};
use crate::payload::Payload;
use crate::protocol::{PublishRequest, Start, SubscribeRequest};
use crate::publication::{Position, Publication};
use crate::router::{RouteId, Routes, Seat};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use licence::Changes;
use routing::{Gathered, wake};
use start::OnLoss;
use store::Stored;
use subscribers::Subscribers;
use topics::{Topics, TopicsFull};

pub use client_hub::{ClientHub, ClientOutput};
pub use config::{HubConfig, HubCounts, UplinkCounts};
pub use disconnect::{Disconnect, DisconnectEnvelope, DisconnectsEnvelope, DisconnectsType};
pub use due::{DownlinkId, Due, SubscriptionId};
pub use error::{PublishError, SubscribeError};
pub use licence::Licence;
pub use relay::{Interest, Relay, RelayDue};
pub use server_hub::{
    Backlog, ConnectionId, Recipient, ServerAnswer, ServerConfig, ServerHub, ServerOutput,
};
pub use spreading::Spread;
pub use survey::{SURVEYED_MAX, Surveyed};

/// What a new subscription starts with. The publications that it recovers are emitted afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// The topic's current position, for a pattern without wildcards.
    pub position: Option<Position>,
    /// Whether the request gave positions, and everything missed since them is about to be emitted.
    pub recovered: bool,
}

/// The hub that owns its topics.
///
/// Call [`Hub::handle_subscribe`], [`Hub::handle_publish`], [`Hub::handle_flow`], [`Hub::handle_unsubscribe`] and
/// [`Hub::handle_timeout`]; after each, drain [`Hub::poll_output`] until `None`.
#[derive(Debug)]
pub struct Hub<P> {
    config: HubConfig,
    router: Routes<u32>,
    topics: Topics<P>,
    subscribers: Subscribers<P, Seat>,
    gathered: Gathered<P>,
    /// Reused by every publish, so that routing allocates nothing.
    matched: Vec<RouteId>,
    ending: Vec<SubscriptionId>,
    /// Patterns that have lost their last subscription, recorded only if the hub has to report them.
    released: Vec<Pattern>,
    is_copy: bool,
    /// Counts every subscribe, unsubscribe and change of a flow, and every topic that is forgotten.
    changes: Changes,
    /// How many publications were sent to resuming subscribers that had missed them.
    recovered: u64,
}

impl<P: Payload> Hub<P> {
    /// An empty hub.
    pub fn new(config: HubConfig) -> Self {
        Self {
            router: Routes::new(config.seed),
            topics: Topics::new(&config),
            subscribers: Subscribers::new(),
            gathered: Gathered::new(),
            matched: Vec::new(),
            ending: Vec::new(),
            released: Vec::new(),
            is_copy: false,
            changes: Changes::default(),
            recovered: 0,
            config,
        }
    }

    /// An empty hub whose topics are copies of topics that live elsewhere, where their positions are assigned.
    pub(super) fn new_copy(config: HubConfig) -> Self {
        let mut hub = Self::new(config);
        hub.topics.become_copies();
        hub.is_copy = true;
        hub
    }

    /// Publishes: appends the publication to the topic's history and hands it to all subscribers.
    ///
    /// # Errors
    /// As [`PublishError`] says. Nothing has been published then.
    pub fn handle_publish(
        &mut self,
        now: Instant,
        request: PublishRequest<P>,
    ) -> Result<Position, PublishError> {
        match self.store(now, request)? {
            Stored::Before(position) => Ok(position),
            Stored::Now(publication, exact) => {
                self.hand_on(now, &publication, exact);
                Ok(publication.position)
            }
        }
    }

    /// Subscribes a downlink to a pattern. What it starts with is due at once. A hub has no connections, so it ignores
    /// the parts of a request about durability and slow connections; its owner handles those.
    ///
    /// # Errors
    /// As [`SubscribeError`] says. There is no subscription then.
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: &SubscribeRequest,
    ) -> Result<Subscribed, SubscribeError> {
        self.subscribe(now, downlink, request, OnLoss::Latest)
    }

    fn subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: &SubscribeRequest,
        on_loss: OnLoss,
    ) -> Result<Subscribed, SubscribeError> {
        let SubscribeRequest {
            pattern,
            flow,
            start,
            ..
        } = request;
        flow.validate()?;
        self.route_gathered();
        if self.subscribers.len() >= self.config.subscriptions_max {
            return Err(SubscribeError::TooManySubscriptions {
                subscriptions_max: self.config.subscriptions_max,
            });
        }
        let subscriptions = self.subscribers.len() + 1;
        let exact = match pattern.exact() {
            Some(topic) => Some(
                self.topics
                    .find_or_await(now, &topic, subscriptions)
                    .map_err(|TopicsFull| SubscribeError::TooManyTopics {
                        topics_max: self.config.topics_max,
                    })?,
            ),
            None => None,
        };
        self.changes.note();
        let router = &mut self.router;
        let known = exact.and_then(|topic| self.topics.get(topic).route);
        let mut joined = None;
        let id = self.subscribers.add(downlink, pattern, *flow, |index| {
            let seat = match known {
                Some(route) => router.join(route, index),
                None => router.subscribe(pattern, index),
            };
            joined = Some(seat.route());
            seat
        });
        if let Some(topic) = exact
            && !self.is_copy
        {
            self.topics.get_mut(topic).route = joined;
        }
        let position = exact.map(|topic| self.topics.get(topic).history.position());
        let recovered = match start {
            Start::Latest | Start::New => {
                self.start_with_latest(now, id, pattern, exact, matches!(start, Start::Latest));
                false
            }
            Start::Since(positions) => match exact {
                Some(topic) => self.recover_exact(now, id, topic, positions, on_loss),
                None => self.recover_pattern(now, id, pattern, positions, on_loss),
            },
        };
        Ok(Subscribed {
            id,
            position,
            recovered,
        })
    }

    /// Ends a subscription at its subscriber's request. What is pending for it is dropped.
    pub fn handle_unsubscribe(&mut self, id: SubscriptionId) {
        self.route_gathered();
        if let Some(seat) = self.subscribers.remove(id) {
            self.leave_route(seat);
        }
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
        flow.validate()?;
        self.changes.note();
        self.route_gathered();
        let seat = self.subscribers.tag(id).copied();
        self.subscribers.set_flow(now, id, flow);
        if let Some(seat) = seat
            && !wake(&mut self.router, seat)
        {
            self.subscribers.forget_passed(seat.route());
        }
        Ok(())
    }

    /// Emits what is due and forgets what has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.route_gathered();
        let router = &mut self.router;
        self.subscribers
            .handle_timeout(now, |seat| wake(router, *seat));
        let router = &self.router;
        // A copy is dropped as soon as it is no longer followed, so it never expires here.
        let is_copy = self.is_copy;
        let is_wanted =
            |topic: &Topic| is_copy || router.find(&Pattern::from(topic.clone())).is_some();
        while let Some(topic) = self.topics.expire(now, is_wanted) {
            self.changes.note();
            self.topics.remove(topic);
        }
    }

    /// The next thing to hand to a downlink.
    pub fn poll_output(&mut self) -> Option<Due<P>> {
        self.route_gathered();
        self.subscribers.poll_output()
    }

    /// When [`Hub::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.subscribers.poll_timeout(),
            self.topics.poll_timeout(),
            self.gathered.since(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The retained latest publication of a topic.
    pub fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<P>>> {
        self.topics.get(self.topics.find(topic)?).history.latest()
    }

    /// The pattern of a subscription.
    fn pattern_of(&self, id: SubscriptionId) -> Option<&Pattern> {
        let seat = self.subscribers.tag(id)?;
        Some(self.router.pattern(seat.route()))
    }

    /// How much the hub holds, for metrics.
    pub fn counts(&self) -> HubCounts {
        HubCounts {
            topics: self.topics.len(),
            subscriptions: self.subscribers.len(),
            gates: self.subscribers.gates(),
        }
    }

    /// The payload bytes in batches that wait for their subscriptions' pace.
    pub(super) const fn batches_bytes(&self) -> usize {
        self.subscribers.batches_bytes()
    }

    /// How many publications were sent to resuming subscribers that had missed them, since the start.
    pub const fn recovered(&self) -> u64 {
        self.recovered
    }

    /// The configuration that the hub was created with.
    pub const fn config(&self) -> &HubConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests;
