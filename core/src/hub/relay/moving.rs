//! A relay that another one takes the place of: what is held back is handed over, and who has joined others may be elsewhere than they.

use alloc::vec::Vec;

use super::Relay;
use crate::hub::due::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::time::Instant;
use crate::topic::Pattern;

/// Where a subscriber is.
pub(in crate::hub) enum Whereabouts<'a> {
    /// Where its uplink's subscription is.
    With(&'a Pattern),
    /// After these positions, on its own way there.
    After(Vec<TopicPosition>),
    /// Where it was told to start.
    AtStart,
}

impl<P: Payload> Relay<P> {
    /// Hands over what is held back: there will be no later time for it.
    pub fn handle_flush(&mut self, now: Instant) {
        self.subscribers.flush(now);
    }

    /// The pattern of a subscription.
    pub fn pattern_of(&self, id: SubscriptionId) -> Option<&Pattern> {
        self.subscribers.tag(id)
    }

    /// Where a subscriber is; at its start, too, where there is none.
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
