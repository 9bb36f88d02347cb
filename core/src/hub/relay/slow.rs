//! What the uplink should do while its connection is slow, if subscribers have chosen a policy.
//!
//! They may differ, and the uplink has one queue for all of them. So it is asked for the policy that loses least. A
//! subscriber that would be content with the newest value then gets more than it needs if another one wants to be told
//! of each loss, or to have none.

use super::route::{Own, Route};
use super::{Interest, Relay};
use crate::flow::{Flow, Slow};
use crate::payload::Payload;
use crate::topic::Pattern;

impl<P: Payload> Relay<P> {
    /// Returns whether a subscriber of this pattern has chosen a policy.
    pub(in crate::hub) fn says_slow(&self, pattern: &Pattern) -> bool {
        let route = self.routes.get(pattern);
        route.is_some_and(|route| route.subscribers.iter().any(|(_, own)| own.slow.is_some()))
    }

    /// Tells the uplink the policy if it has changed.
    pub(super) fn aggregate_slow(&mut self, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let wanted = route.wanted_slow();
        let unsaid = unsaid(route.upstream);
        if wanted.unwrap_or(unsaid) == route.slow.unwrap_or(unsaid) {
            return;
        }
        route.slow = wanted;
        self.interest.push_back(Interest::Slow {
            pattern: pattern.clone(),
            slow: wanted,
        });
    }
}

impl<P> Route<P> {
    /// The policy that loses least among those the subscribers want; `None` if none of them has chosen one.
    fn wanted_slow(&self) -> Option<Slow> {
        let subscribers = self.subscribers.iter();
        let wanted = subscribers.map(|(_, own)| own.wanted_slow(self.upstream));
        let is_said = self.subscribers.iter().any(|(_, own)| own.slow.is_some());
        wanted.max().filter(|_| is_said)
    }
}

impl Own {
    /// The policy that the uplink needs for this subscriber while it applies `upstream`. A subscriber to which
    /// conflation is a loss needs everything, unless `upstream` conflates anyway, which it only does if all subscribers
    /// want that.
    fn wanted_slow(self, upstream: Flow) -> Slow {
        match self.slow {
            Some(slow @ (Slow::Drop | Slow::Disconnect)) => slow,
            Some(Slow::Conflate) | None if !self.loses() || upstream.conflates() => Slow::Conflate,
            Some(Slow::Conflate) | None => Slow::Drop,
        }
    }
}

/// The policy that a flow implies.
fn unsaid(upstream: Flow) -> Slow {
    if upstream.conflates() {
        Slow::Conflate
    } else {
        Slow::Drop
    }
}
