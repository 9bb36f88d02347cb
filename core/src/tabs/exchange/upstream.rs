//! What the server is asked for on behalf of all members: the finest flow that any of them needs, and the policy for a
//! slow connection that loses least. A member without a policy counts as wanting to be told of each loss.

use super::Exchange;
use super::route::Route;
use crate::flow::{Flow, Past, Slow};
use crate::payload::Payload;
use crate::protocol::{Start, SubscribeRequest};
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> Exchange<P> {
    /// Subscribes upstream, under the device's name if a member gave one.
    pub(super) fn follow(&mut self, now: Instant, pattern: &Pattern, start: Start) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        route.note_slow();
        route.past = Past::default().then(route.upstream);
        let request = SubscribeRequest {
            pattern: pattern.clone(),
            flow: route.upstream,
            start,
            durable: route.durable.clone(),
            slow: route.slow,
        };
        self.client.handle_subscribe(now, request);
        if route.is_rewinding {
            self.client.handle_rewind(pattern, &Start::Latest);
            for start in route.starts(pattern) {
                self.client.handle_rewind(pattern, &start);
            }
        }
    }

    /// Tells the server of a new flow and policy, if they have changed.
    pub(super) fn push_up(&mut self, pattern: &Pattern, before: Flow) {
        let flow = self.routes[pattern].upstream;
        if flow != before {
            self.client.handle_flow(pattern, flow);
        }
        self.push_slow(pattern);
    }

    fn push_slow(&mut self, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern)
            && route.note_slow()
        {
            self.client.handle_slow(pattern, route.slow);
        }
    }
}

impl<P> Route<P> {
    /// Sets the policy that loses least among those of the members. Returns whether it has changed.
    fn note_slow(&mut self) -> bool {
        let is_said = self.seats.values().any(|seat| seat.slow.is_some());
        let wanted = self
            .seats
            .values()
            .map(|seat| seat.slow.unwrap_or(Slow::Drop));
        let wanted = wanted.max().filter(|_| is_said);
        core::mem::replace(&mut self.slow, wanted) != wanted
    }
}
