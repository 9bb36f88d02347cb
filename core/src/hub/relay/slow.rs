//! What the uplink is to do while its connection is behind, where subscribers have said what becomes of what waits for them.
//!
//! They may differ, and the uplink has one queue for all of them. So it is asked for what loses least of what any of them
//! wants: a subscriber who would be content with the newest is told of nothing and given more than it needs, where another
//! one wants to be told of each loss, or to have none.

use super::route::{Own, Route};
use super::{Interest, Relay};
use crate::flow::{Flow, Slow};
use crate::payload::Payload;
use crate::topic::Pattern;

impl<P: Payload> Relay<P> {
    /// Whether a subscriber of this pattern has said what is to become of its publications.
    pub(in crate::hub) fn says_slow(&self, pattern: &Pattern) -> bool {
        let route = self.routes.get(pattern);
        route.is_some_and(|route| route.subscribers.iter().any(|(_, own)| own.slow.is_some()))
    }

    /// Tells the uplink, where that changes anything there.
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
    /// Of what the subscribers want, what loses least; `None` where nobody has said.
    fn wanted_slow(&self) -> Option<Slow> {
        let subscribers = self.subscribers.iter();
        let wanted = subscribers.map(|(_, own)| own.wanted_slow(self.upstream));
        let is_said = self.subscribers.iter().any(|(_, own)| own.slow.is_some());
        wanted.max().filter(|_| is_said)
    }
}

impl Own {
    /// What the uplink is to do for this subscriber, while it carries `upstream` out. That conflates only where all would have it
    /// conflated so; where it does not, whoever loses by having the newest alone must be given everything.
    fn wanted_slow(self, upstream: Flow) -> Slow {
        match self.slow {
            Some(slow @ (Slow::Drop | Slow::Disconnect)) => slow,
            Some(Slow::Conflate) | None if !self.loses() || upstream.conflates() => Slow::Conflate,
            Some(Slow::Conflate) | None => Slow::Drop,
        }
    }
}

/// What an uplink does that was told nothing.
fn unsaid(upstream: Flow) -> Slow {
    if upstream.conflates() {
        Slow::Conflate
    } else {
        Slow::Drop
    }
}
