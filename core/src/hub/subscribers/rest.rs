//! Gates that rest: publications pass them by until something is due to them.
//!
//! A throttled gate within its window, or a debounced one within its burst, keeps nothing of what comes but the last. So a
//! route with ten thousand of them need not visit each for every publication: the last one is kept
//! once for all, and each takes it when its deadline comes, or when anything else is to happen to it. What leaves,
//! and in which order, is the same.

use core::num::NonZeroU64;

use alloc::sync::Arc;

use super::Subscribers;
use crate::gate::Gate;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::router::RouteId;
use crate::time::Instant;
use crate::topic::Topic;

/// What a gate has seen when it begins to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) route: RouteId,
    /// How many publications had passed there.
    seen: NonZeroU64,
}

/// What has passed the gates of a route that rest.
#[derive(Debug)]
pub(super) struct Passed<P> {
    /// How many publications, and one.
    count: NonZeroU64,
    /// The last of them and when it came; `None` once nobody rests.
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
    /// Does what is due at `now`, so that every gate that still rests may be passed by at `now`. Returns the time that
    /// the gates are to be told: it never goes back.
    pub(crate) fn catch_up(&mut self, now: Instant, wake: impl FnMut(&T) -> bool) -> Instant {
        self.latest = self.latest.max(now);
        let is_due = |at: Instant| at <= self.latest;
        if self.timers.poll_timeout().is_some_and(is_due) {
            self.handle_timeout(now, wake);
        }
        self.latest
    }

    /// A publication passes the gates of a route that rest.
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

    /// Nobody rests at a route any more.
    pub(crate) fn forget_passed(&mut self, route: RouteId) {
        if let Some(passed) = self.passed.get_mut(route.index()) {
            passed.last = None;
        }
    }

    /// Lets a gate rest, if that makes no difference; says whether it does.
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

    /// Until when the gate of the subscription with `index` will hold back all but the last of what comes of `topic`. `None` if it
    /// may do anything else.
    pub(crate) fn holds_until(&self, index: u32, topic: &Topic) -> Option<Instant> {
        let slot = &self.gates[self.known_gate(index, topic)? as usize];
        // A deadline that is later than this would let it pass unseen.
        let armed = Instant::from_micros(slot.armed?.get());
        slot.gate.rests_until().filter(|until| armed <= *until)
    }

    /// A publication is held back by the gate of the subscription with `index`, if it has one that doesn't rest.
    pub(crate) fn hold_back(&mut self, at: Instant, index: u32, publication: &Arc<Publication<P>>) {
        if let Some(gate) = self.known_gate(index, &publication.topic) {
            let slot = &mut self.gates[gate as usize];
            if slot.resting.is_none() {
                slot.gate.handle_value(at, Arc::clone(publication));
            }
        }
    }

    /// A gate to which something is about to happen. If it rested, it learns now what has passed it by.
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

    /// Lets the gate of a subscription rest no more, as if each publication had been handed to it.
    #[cfg(test)]
    pub(crate) fn rouse(&mut self, index: u32) {
        if let super::Gates::One(gate) = self.subscriptions[index as usize].gates {
            self.awake(gate);
        }
    }
}
