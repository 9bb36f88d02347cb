//! Replacing a relay by another: what is held back is emitted, and each subscriber's position is known, even of one
//! that is still joining.

use alloc::vec::Vec;

use super::Relay;
use crate::hub::due::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::time::Instant;
use crate::topic::Pattern;

/// Where a subscriber stands.
pub(in crate::hub) enum Whereabouts<'a> {
    /// At the position of the uplink's subscription to this pattern.
    With(&'a Pattern),
    /// After these positions, still catching up with the others.
    After(Vec<TopicPosition>),
    /// Where its request asked to start.
    AtStart,
}

impl<P: Payload> Relay<P> {
    /// Emits what is held back: there will be no later opportunity.
    pub fn handle_flush(&mut self, now: Instant) {
        self.subscribers.flush(now);
    }

    /// The pattern of a subscription.
    pub fn pattern_of(&self, id: SubscriptionId) -> Option<&Pattern> {
        self.subscribers.tag(id)
    }

    /// Where a subscriber stands; `AtStart` for an unknown one.
    pub(in crate::hub) fn whereabouts(&self, id: SubscriptionId) -> Whereabouts<'_> {
        let Some(pattern) = self.pattern_of(id) else {
            return Whereabouts::AtStart;
        };
        let joining = self.routes.get(pattern).map(|route| &route.joining);
        let mut joining = joining.into_iter().flatten();
        match joining.find(|(known, _)| *known == id) {
            None => Whereabouts::With(pattern),
            Some((_, joining)) => match joining.resumes_after() {
                Some(positions) => Whereabouts::After(positions),
                None => Whereabouts::AtStart,
            },
        }
    }
}
