//! One pattern that somebody here is subscribed to: who, and what of it was seen.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::flow::{Conflate, Flow, Past, Slow};
use crate::hub::SubscriptionId;
use crate::joining::{Joining, Step};
use crate::limits::CLIENT_TOPICS_MAX;
use crate::protocol::{Start, SubscribeRequest};
use crate::publication::{Position, Publication};
use crate::recent::Recent;
use crate::topic::Topic;

/// What the relay remembers of a subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// The flow that the subscriber asked for.
    pub(super) flow: Flow,
    /// What is to become of its publications while the uplink's connection is behind, where it has said.
    pub(super) slow: Option<Slow>,
}

impl Own {
    /// Whether a dropped publication is a loss to the subscriber: to anybody but who only wants the latest.
    pub(super) fn loses(self) -> bool {
        let conflates = self.flow.conflates() || self.slow == Some(Slow::Conflate);
        !conflates || self.flow.conflate != Conflate::Latest
    }
}

#[derive(Debug)]
pub(super) struct Route<P> {
    /// The flow that the uplink is asked for.
    pub(super) upstream: Flow,
    /// What the uplink is to do while its connection is behind, where it was told.
    pub(super) slow: Option<Slow>,
    pub(super) subscribers: Vec<(SubscriptionId, Own)>,
    /// Those of them who wait for what they start with.
    pub(super) joining: Vec<(SubscriptionId, Joining)>,
    /// Where the uplink was asked to start, until it has confirmed that.
    pub(super) starting: Option<Start>,
    /// Whether there may be topics whose latest values nobody here was sent.
    pub(super) is_partial: bool,
    /// Whether only what a device has not dealt with has come, and perhaps is still to come.
    pub(super) is_of_device: bool,
    /// Whether the uplink was asked to go back, and has not said that it is done.
    pub(super) is_rewinding: bool,
    /// How the uplink may have conflated what is still to come.
    pub(super) past: Past,
    /// The topics seen, with the latest value of each for those who come later.
    pub(super) topics: Recent<Arc<Publication<P>>>,
    /// How many publications were told to be missing and have not shown as a gap.
    pub(super) lag: u64,
}

impl<P> Route<P> {
    /// A route with its first subscriber.
    pub(super) fn new(id: SubscriptionId, request: &SubscribeRequest) -> Self {
        let is_partial = match &request.start {
            Start::Latest => false,
            Start::New => request.pattern.is_exact(),
            Start::Since(_) => true,
        };
        let mut route = Self {
            upstream: request.flow,
            slow: request.slow,
            subscribers: Vec::new(),
            joining: Vec::new(),
            starting: Some(request.start.clone()),
            is_partial,
            is_of_device: request.durable.is_some(),
            is_rewinding: false,
            past: Past::default().then(request.flow),
            topics: Recent::new(CLIENT_TOPICS_MAX),
            lag: 0,
        };
        route.admit(id, request);
        route
    }

    /// Another subscriber has come.
    pub(super) fn admit(&mut self, id: SubscriptionId, request: &SubscribeRequest) -> Own {
        let own = Own {
            flow: request.flow,
            slow: request.slow,
        };
        self.subscribers.push((id, own));
        own
    }

    /// Notes a publication, and returns how many are missing before it that nobody was told of.
    ///
    /// A conflating uplink leaves gaps, and goes on to do so for the time that it takes to tell it that somebody has
    /// come who wants everything.
    pub(super) fn see(&mut self, publication: &Arc<Publication<P>>) -> u64 {
        let (before, position) = (self.keep(publication), publication.position);
        // The first one of a topic finds itself, and so no gap.
        let seen = if before.epoch == position.epoch {
            before.offset
        } else {
            0
        };
        let gap = position.offset.saturating_sub(seen + 1);
        let told = gap.min(self.lag);
        self.lag -= told;
        gap - told
    }

    /// Keeps what was handed on as the latest of its topic. Returns the position of the latest before; its own, where it is the first.
    pub(super) fn keep(&mut self, publication: &Arc<Publication<P>>) -> Position {
        let latest = self
            .topics
            .touch(&publication.topic, || Arc::clone(publication));
        core::mem::replace(latest, Arc::clone(publication)).position
    }

    pub(super) const fn handle_lagged(&mut self, missed: u64) {
        self.lag = self.lag.saturating_add(missed);
    }

    /// What somebody who has seen `known` of a topic misses, now that `latest` was seen here: who `skips` wants no more than that.
    pub(super) fn step(known: Position, latest: &Publication<P>, skips: bool) -> Step {
        if known.epoch != latest.position.epoch {
            return Step::Reset;
        }
        match latest.position.offset.checked_sub(known.offset) {
            Some(0) => Step::Nothing,
            Some(1) => Step::Latest,
            Some(_) if skips => Step::Latest,
            Some(_) | None => Step::Reset,
        }
    }

    /// Asks the uplink for another flow from now on.
    pub(super) fn set_upstream(&mut self, flow: Flow) {
        self.past = self.past.then(flow);
        self.upstream = flow;
    }

    /// The subscribers who lose something by what the uplink dropped: of those who have joined, those to whom something comes.
    pub(super) fn losing(&self) -> impl Iterator<Item = SubscriptionId> {
        let losing = self.subscribers.iter().filter(|(_, own)| own.loses());
        losing.map(|(id, _)| *id).filter(|id| !self.is_waiting(*id))
    }

    /// The subscribers who miss what the uplink conflated: not those who would have had it conflated likewise.
    pub(super) fn missing(&self) -> impl Iterator<Item = SubscriptionId> {
        let conflates_likewise = |flow: Flow| flow.conflates() && self.past.has(flow.conflate);
        let missing = self
            .subscribers
            .iter()
            .filter(move |(_, own)| own.loses() && !conflates_likewise(own.flow));
        missing
            .map(|(id, _)| *id)
            .filter(|id| !self.is_joining(*id))
    }

    /// Those who are given what comes: not who waits for what it starts with.
    pub(super) fn receiving(&self) -> impl Iterator<Item = SubscriptionId> {
        let ids = self.subscribers.iter().map(|(id, _)| *id);
        ids.filter(|id| !self.is_joining(*id))
    }

    pub(super) fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<P>>> {
        self.topics.get(topic)
    }
}
