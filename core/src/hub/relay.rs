//! A hub that follows an uplink: it aggregates its subscribers' interest, paces each of them, and ends their
//! subscriptions when a topic ends.
//!
//! Flow control is pushed up: see `relay/pace.rs`.

mod handed;
mod joining;
mod late;
mod moving;
mod pace;
mod route;
mod slow;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::SubscribeError;
use super::due::{DownlinkId, Due, SubscriptionId};
use super::subscribers::Subscribers;
use crate::flow::{Flow, FlowError, Slow};
use crate::joining::Novelty;
use crate::lifecycle::EndReason;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::{Start, SubscribeRequest, WireError};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
pub(super) use moving::Whereabouts;
use route::Route;

/// What a relay asks of its uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Subscribe: a pattern has its first subscriber, and this is its request.
    Follow(SubscribeRequest),
    /// The finest flow that the subscribers need has changed.
    Reflow {
        /// The subscription.
        pattern: Pattern,
        /// The new flow.
        flow: Flow,
    },
    /// The policy for a slow connection has changed.
    Slow {
        /// The subscription.
        pattern: Pattern,
        /// The new policy.
        slow: Option<Slow>,
    },
    /// Send again from before what was last seen of each topic, for a subscriber that has joined with this start. The
    /// relay has asked for every publication at once before.
    Rewind {
        /// The subscription.
        pattern: Pattern,
        /// Where the newcomer starts.
        start: Start,
    },
    /// Unsubscribe: the last subscriber has left.
    Unfollow {
        /// The subscription.
        pattern: Pattern,
    },
}

/// What a relay emits to its owner.
#[derive(Debug)]
pub enum RelayDue<P> {
    /// For the uplink.
    Interest(Interest),
    /// For a downlink.
    Due(Due<P>),
}

/// The hub that follows an uplink.
///
/// `handle_subscribe`, `handle_unsubscribe` and `handle_flow` are called from below; `handle_publication`,
/// `handle_batch`, `handle_reset`, `handle_lagged`, `handle_end` and `handle_refused` by the uplink, and also
/// `handle_subscribed`, `handle_rewinding`, `handle_repeat` and `handle_rewound` if it can go back. After each, drain
/// `poll_output` until `None`.
#[derive(Debug)]
pub struct Relay<P> {
    /// Each tagged with its pattern.
    subscribers: Subscribers<P, Pattern>,
    routes: OrderedMap<Pattern, Route<P>>,
    interest: VecDeque<Interest>,
    above: Above,
}

/// How the uplink's flow relates to what this relay asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Above {
    /// Exactly what is asked for.
    Own,
    /// That, or something finer, because the uplink serves others, too.
    Shared,
    /// Paced by a different clock, so nothing can be inferred from it.
    OtherClock,
}

impl<P: Payload> Relay<P> {
    /// A relay without subscribers.
    pub fn new() -> Self {
        Self::below(Above::Own)
    }

    /// A relay whose uplink serves others, too, and so may be finer than requested; each subscriber is paced here.
    pub fn shared() -> Self {
        Self::below(Above::Shared)
    }

    /// A relay whose clock differs from its uplink's; each subscriber is paced here, whatever the uplink does.
    pub fn on_other_clock() -> Self {
        Self::below(Above::OtherClock)
    }

    fn below(above: Above) -> Self {
        Self {
            subscribers: Subscribers::new(),
            routes: OrderedMap::new(),
            interest: VecDeque::new(),
            above,
        }
    }

    /// Subscribes a downlink. If others follow the pattern already, it starts with the latest values seen. There is no
    /// history here, so if that would leave a gap for the newcomer, the uplink goes back for it, if it can.
    ///
    /// # Errors
    /// If the flow is out of range.
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        let id = self.add(downlink, &request)?;
        let pattern = &request.pattern;
        if let Some(route) = self.routes.get_mut(pattern) {
            let own = route.admit(id, &request);
            let lag = route.lag;
            let waits = self.join(id, &request);
            if lag > 0 && own.loses() && !waits {
                // What the others were told they had missed may lie after what this one starts with.
                self.subscribers.lagged(id.index(), pattern, lag);
            }
            self.aggregate(now, pattern);
            match request.start {
                _ if waits => self.request_rewind(request.pattern, request.start),
                Start::Latest => self.deliver_latest(now, id, pattern),
                // The end that follows must come after the terminal publication.
                Start::New if self.routes[pattern].has_ended(pattern) => {
                    self.deliver_latest(now, id, pattern)
                }
                Start::New => {}
                Start::Since(known) => self.resume(now, id, pattern, own.flow, &known),
            }
        } else {
            self.routes.insert(pattern, Route::new(id, &request));
            self.interest.push_back(Interest::Follow(request));
        }
        Ok(id)
    }

    fn add(
        &mut self,
        downlink: DownlinkId,
        request: &SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        request.flow.validate()?;
        let (here, _) = self.here(request.flow, request.flow);
        let (subscribers, pattern) = (&mut self.subscribers, &request.pattern);
        Ok(subscribers.add(downlink, pattern, here, |_| pattern.clone()))
    }

    /// Ends a subscription at its subscriber's request. What is pending for it is dropped.
    pub fn handle_unsubscribe(&mut self, now: Instant, id: SubscriptionId) {
        let Some(pattern) = self.subscribers.remove(id) else {
            return;
        };
        let Some(route) = self.routes.get_mut(&pattern) else {
            return;
        };
        route.leave(id);
        if route.subscribers.is_empty() {
            self.routes.remove(&pattern);
            self.interest.push_back(Interest::Unfollow { pattern });
        } else {
            self.aggregate(now, &pattern);
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
        let Some(pattern) = self.subscribers.tag(id).cloned() else {
            return Ok(());
        };
        if let Some(route) = self.routes.get_mut(&pattern) {
            for (known, own) in &mut route.subscribers {
                if *known == id {
                    own.flow = flow;
                }
            }
            self.aggregate(now, &pattern);
        }
        Ok(())
    }

    /// The uplink delivered a publication for its subscription to `pattern`.
    pub fn handle_publication(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let unreported = route.see(publication);
        if unreported > 0 {
            for id in route.missing() {
                self.subscribers.lagged(id.index(), pattern, unreported);
            }
        }
        for id in route.receiving() {
            self.subscribers.deliver(now, id.index(), publication);
        }
        self.hand_to_joining(now, pattern, publication, Novelty::New);
    }

    /// The uplink delivered a batch for its collecting subscription to `pattern`.
    pub fn handle_batch(&mut self, now: Instant, pattern: &Pattern, items: &[Arc<Publication<P>>]) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let unreported = items.iter().map(|item| route.see(item)).sum();
        if unreported > 0 {
            for id in route.missing() {
                self.subscribers.lagged(id.index(), pattern, unreported);
            }
        }
        for id in route.receiving() {
            self.subscribers.deliver_batch(now, id.index(), items);
        }
    }

    /// What the uplink missed of a topic is lost.
    pub fn handle_reset(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        topic: &Topic,
        position: Position,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        route.topics.remove(topic);
        for id in route.receiving().chain(route.at_cursor()) {
            self.subscribers.reset(now, id.index(), topic, position);
        }
        for (id, joining) in &mut route.joining {
            if joining.loses(topic, position) {
                self.subscribers.reset(now, id.index(), topic, position);
            }
        }
    }

    /// The uplink was too slow for its subscription to `pattern` and dropped publications. Subscribers that only want
    /// the latest value have lost nothing.
    pub fn handle_lagged(&mut self, pattern: &Pattern, missed: u64) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.handle_lagged(missed);
            for id in route.losing() {
                self.subscribers.lagged(id.index(), pattern, missed);
            }
        }
    }

    /// The topic that `pattern` names has ended.
    pub fn handle_end(&mut self, pattern: &Pattern, reason: EndReason) {
        if let Some(route) = self.routes.remove(pattern) {
            for (id, _) in route.subscribers {
                self.subscribers.end(id, pattern.clone(), reason);
            }
        }
    }

    /// The uplink refused the subscription to `pattern`.
    pub fn handle_refused(&mut self, pattern: &Pattern, error: &WireError) {
        if let Some(route) = self.routes.remove(pattern) {
            for (id, _) in route.subscribers {
                self.subscribers.refuse(id, error.clone());
            }
        }
    }

    /// The flow that the uplink is asked for, if the pattern has subscribers.
    pub(super) fn upstream(&self, pattern: &Pattern) -> Option<Flow> {
        self.routes.get(pattern).map(|route| route.upstream)
    }

    /// The subscribers to exactly this pattern.
    pub(super) fn subscribers_of(&self, pattern: &Pattern) -> Vec<SubscriptionId> {
        match self.routes.get(pattern) {
            Some(route) => route.subscribers.iter().map(|(id, _)| *id).collect(),
            None => Vec::new(),
        }
    }

    /// Emits what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.subscribers.handle_timeout(now, |_| false);
    }

    /// What is due next, to the uplink or to a downlink.
    pub fn poll_output(&mut self) -> Option<RelayDue<P>> {
        match self.interest.pop_front() {
            Some(interest) => Some(RelayDue::Interest(interest)),
            None => self.subscribers.poll_output().map(RelayDue::Due),
        }
    }

    /// When [`Relay::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.subscribers.poll_timeout()
    }

    /// How many subscriptions there are below, and how many upstream.
    pub fn counts(&self) -> (usize, usize) {
        (self.subscribers.len(), self.routes.len())
    }
}

impl<P: Payload> Default for Relay<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
