//! Gates that rest: publications pass over them until something is due.
//!
//! A throttled gate within its window, or a debounced one within its burst, keeps only the last of the values that
//! arrive. So a route with ten thousand such gates need not visit each of them for every publication: the last
//! publication is kept once for all. Each gate takes it when its deadline comes, or before anything else happens to it.
//! What is emitted, and in which order, is the same.

use core::num::NonZeroU64;

use alloc::sync::Arc;

use super::Subscribers;
use crate::gate::Gate;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::router::RouteId;
use crate::time::Instant;
use crate::topic::Topic;

/// The state of a resting gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) route: RouteId,
    /// The route's count of passed publications when the gate began to rest.
    seen: NonZeroU64,
}

/// The publications that have passed over the resting gates of a route.
#[derive(Debug)]
pub(super) struct Passed<P> {
    /// How many there were, plus one.
    count: NonZeroU64,
    /// The last of them and when it arrived; `None` once no gate rests.
    last: Option<(Instant, Arc<Publication<P>>)>,
}

impl<P> Default for Passed<P> {
    fn default() -> Self {
        Self {
            count: NonZeroU64::MIN,
            last: None,
        }
    }
}

impl<P: Payload, T> Subscribers<P, T> {
    /// Handles deadlines up to `now`, so that a publication can pass over every gate that still rests. Returns the time
    /// to pass to gates, which never goes back.
    pub(crate) fn handle_overdue(&mut self, now: Instant, wake: impl FnMut(&T) -> bool) -> Instant {
        self.latest = self.latest.max(now);
        let is_due = |at: Instant| at <= self.latest;
        if self.timers.poll_timeout().is_some_and(is_due) {
            self.handle_timeout(now, wake);
        }
        self.latest
    }

    /// A publication passes over the resting gates of a route.
    pub(crate) fn pass_by(
        &mut self,
        now: Instant,
        route: RouteId,
        publication: &Arc<Publication<P>>,
    ) {
        if let Some(passed) = self.passed.get_mut(route.index()) {
            passed.count = passed.count.saturating_add(1);
            passed.last = Some((now, Arc::clone(publication)));
        }
    }

    /// No gate of a route rests any longer.
    pub(crate) fn forget_passed(&mut self, route: RouteId) {
        if let Some(passed) = self.passed.get_mut(route.index()) {
            passed.last = None;
        }
    }

    /// Lets a gate rest if that makes no difference to what it emits. Returns whether it rests.
    pub(crate) fn rest(&mut self, gate: u32, route: RouteId) -> bool {
        let Some(slot) = self.gates.get_mut(gate as usize) else {
            return false;
        };
        let Some(until) = slot.gate.rests_until() else {
            return false;
        };
        let index = route.index();
        if index >= self.passed.len() {
            self.passed.resize_with(index + 1, Passed::default);
        }
        let seen = self.passed[index].count;
        slot.resting = Some(Resting { route, seen });
        self.arm(gate, until);
        true
    }

    /// The time until which the gate of the subscription with `index` holds back all but the last publication of
    /// `topic`. `None` if it may do anything else.
    pub(crate) fn holds_until(&self, index: u32, topic: &Topic) -> Option<Instant> {
        let slot = &self.gates[self.known_gate(index, topic)? as usize];
        // If the timer is armed for later than this, the time would pass unnoticed.
        let armed = Instant::from_micros(slot.armed?.get());
        slot.gate.rests_until().filter(|until| armed <= *until)
    }

    /// The gate of the subscription with `index` holds back a publication, if there is a gate and it isn't resting.
    pub(crate) fn hold_back(&mut self, at: Instant, index: u32, publication: &Arc<Publication<P>>) {
        if let Some(gate) = self.known_gate(index, &publication.topic) {
            let slot = &mut self.gates[gate as usize];
            if slot.resting.is_none() {
                slot.gate.handle_value(at, Arc::clone(publication));
            }
        }
    }

    /// The gate, about to be used. If it was resting, it first gets the last publication that passed over it.
    pub(super) fn awake(&mut self, gate: u32) -> &mut Gate<Arc<Publication<P>>> {
        let slot = &mut self.gates[gate as usize];
        if let Some(Resting { route, seen }) = slot.resting.take() {
            let passed = &self.passed[route.index()];
            if let Some((at, last)) = &passed.last
                && passed.count != seen
            {
                slot.gate.handle_value(*at, Arc::clone(last));
            }
        }
        &mut slot.gate
    }

    /// Ends the rest of a subscription's gate, as if each publication had been handed to it.
    #[cfg(test)]
    pub(crate) fn rouse(&mut self, index: u32) {
        if let super::Gates::One(gate) = self.subscriptions[index as usize].gates {
            self.awake(gate);
        }
    }
}
