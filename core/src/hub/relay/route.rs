//! One pattern that the relay follows: its subscribers, and what was seen of its topics.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::flow::{Conflate, Flow, Past, Slow};
use crate::hub::SubscriptionId;
use crate::joining::{Continuation, Joining};
use crate::limits::CLIENT_TOPICS_MAX;
use crate::protocol::{Start, SubscribeRequest};
use crate::publication::{Position, Publication};
use crate::recent::Recent;
use crate::topic::Topic;

/// What the relay remembers of a subscription's request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// The flow that the subscriber asked for.
    pub(super) flow: Flow,
    /// What to do with its publications while the uplink's connection is slow, if the request says so.
    pub(super) slow: Option<Slow>,
}

impl Own {
    /// Returns whether a dropped publication is a loss to the subscriber. It isn't to one that only wants the latest
    /// value.
    pub(super) fn loses(self) -> bool {
        let conflates = self.flow.conflates() || self.slow == Some(Slow::Conflate);
        !conflates || self.flow.conflate != Conflate::Latest
    }
}

#[derive(Debug)]
pub(super) struct Route<P> {
    /// The flow that the uplink is asked for.
    pub(super) upstream: Flow,
    /// What the uplink was asked to do while its connection is slow, if anything.
    pub(super) slow: Option<Slow>,
    pub(super) subscribers: Vec<(SubscriptionId, Own)>,
    /// Those that wait for their start, or are being sent it.
    pub(super) joining: Vec<(SubscriptionId, Joining)>,
    /// The start that the uplink was asked for, until it confirms the subscription.
    pub(super) starting: Option<Start>,
    /// Whether there may be topics whose latest values were not sent here.
    pub(super) is_partial: bool,
    /// Whether only what a device has not processed was sent, and may still be arriving.
    pub(super) is_of_device: bool,
    /// Whether the uplink was asked to go back, and has not finished.
    pub(super) is_rewinding: bool,
    /// How the uplink may have conflated what is still to arrive.
    pub(super) past: Past,
    /// The topics seen, each with its latest value, for later subscribers.
    pub(super) topics: Recent<Arc<Publication<P>>>,
    /// How many publications were reported as dropped but have not shown up as a gap yet.
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

    /// Records a publication. Returns how many are missing before it that no `lagged` has reported.
    ///
    /// A conflating uplink leaves gaps. It still does for a while after a subscriber has arrived that wants everything,
    /// until the change of flow has reached it.
    pub(super) fn see(&mut self, publication: &Arc<Publication<P>>) -> u64 {
        let (before, position) = (self.keep(publication), publication.position);
        // For the first publication of a topic, `before` is its own position, so there is no gap.
        let seen = if before.epoch == position.epoch {
            before.offset
        } else {
            0
        };
        let gap = position.offset.saturating_sub(seen + 1);
        let reported = gap.min(self.lag);
        self.lag -= reported;
        gap - reported
    }

    /// Keeps a publication as the latest of its topic. Returns the position of the previous one; its own if it is the
    /// first.
    pub(super) fn keep(&mut self, publication: &Arc<Publication<P>>) -> Position {
        let latest = self
            .topics
            .touch(&publication.topic, || Arc::clone(publication));
        core::mem::replace(latest, Arc::clone(publication)).position
    }

    pub(super) const fn handle_lagged(&mut self, missed: u64) {
        self.lag = self.lag.saturating_add(missed);
    }

    /// What a subscriber that has seen `known` of a topic needs now that `latest` was seen here. One that `skips` needs
    /// only the latest value.
    pub(super) fn continuation(
        known: Position,
        latest: &Publication<P>,
        skips: bool,
    ) -> Continuation {
        if known.epoch != latest.position.epoch {
            return Continuation::Reset;
        }
        match latest.position.offset.checked_sub(known.offset) {
            Some(0) => Continuation::Nothing,
            Some(1) => Continuation::Latest,
            Some(_) if skips => Continuation::Latest,
            Some(_) | None => Continuation::Reset,
        }
    }

    /// Asks the uplink for another flow from now on.
    pub(super) fn set_upstream(&mut self, flow: Flow) {
        self.past = self.past.then(flow);
        self.upstream = flow;
    }

    /// The subscribers to which publications dropped by the uplink are a loss; of those that are joining, only those
    /// that are being sent something.
    pub(super) fn losing(&self) -> impl Iterator<Item = SubscriptionId> {
        let losing = self.subscribers.iter().filter(|(_, own)| own.loses());
        losing.map(|(id, _)| *id).filter(|id| !self.is_waiting(*id))
    }

    /// The subscribers that miss what the uplink conflated: not those whose own flow would have conflated it in the
    /// same way.
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

    /// The subscribers that get what arrives: all but those that are joining.
    pub(super) fn receiving(&self) -> impl Iterator<Item = SubscriptionId> {
        let ids = self.subscribers.iter().map(|(id, _)| *id);
        ids.filter(|id| !self.is_joining(*id))
    }

    pub(super) fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<P>>> {
        self.topics.get(topic)
    }
}
