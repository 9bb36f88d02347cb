//! Routing: from a publication to what is due to its subscribers.
//!
//! Publications of a topic that arrive at the same instant, such as the frames of one read, are gathered. They are
//! routed together as soon as something else happens or the output is polled, so each subscriber is visited once for
//! all of them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Hub;
use super::due::SubscriptionId;
use super::owed::Owed;
use super::spreading::Spreading;
use crate::lifecycle::EndReason;
use crate::outbox::Run;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::router::{RouteId, Routes, Seat};
use crate::time::Instant;
use crate::topic::Pattern;

/// The most publications that are routed together.
const GATHERED_MAX: usize = 1_024;

/// Publications of one topic and one instant that have not been routed yet.
#[derive(Debug)]
pub(super) struct Gathered<P> {
    pub(super) at: Instant,
    /// The route of subscriptions to the topic by name.
    pub(super) exact: Option<RouteId>,
    pub(super) publications: Vec<Arc<Publication<P>>>,
    /// An earlier publication that is still being spread.
    pub(super) spreading: Option<Spreading<P>>,
    /// Ends the spreading, if there is any. A function pointer, so that hubs that never spread, as in a page, don't
    /// contain its code.
    pub(super) end_spread: Option<fn(&mut Hub<P>)>,
}

impl<P> Gathered<P> {
    pub(super) const fn new() -> Self {
        Self {
            at: Instant::ZERO,
            exact: None,
            publications: Vec::new(),
            spreading: None,
            end_spread: None,
        }
    }

    /// When the gathered publications arrived, if there are any. It counts as a deadline, so that a host that doesn't
    /// poll the output is woken for them.
    pub(super) fn since(&self) -> Option<Instant> {
        (self.end_spread.is_some() || !self.publications.is_empty()).then_some(self.at)
    }

    fn takes(&self, now: Instant, publication: &Publication<P>) -> bool {
        self.publications.first().is_none_or(|first| {
            self.at == now
                && first.topic == publication.topic
                && self.publications.len() < GATHERED_MAX
        })
    }
}

impl<P: Payload> Hub<P> {
    /// Hands a publication to all subscribers of its topic.
    pub(super) fn route(&mut self, now: Instant, publication: &Arc<Publication<P>>) {
        let exact = self.router.find_exact(&publication.topic);
        self.hand_on(now, publication, exact);
    }

    /// Hands a publication to all current subscribers of its topic; `exact` is the route of those that subscribe by
    /// name.
    pub(super) fn hand_on(
        &mut self,
        now: Instant,
        publication: &Arc<Publication<P>>,
        exact: Option<RouteId>,
    ) {
        if publication.is_terminal() {
            self.route_gathered();
            return self.route_one(now, publication, exact);
        }
        if self.gathered.end_spread.is_some() || !self.gathered.takes(now, publication) {
            self.route_gathered();
        }
        self.gathered.at = now;
        self.gathered.exact = exact;
        self.gathered.publications.push(Arc::clone(publication));
    }

    /// Routes what has been gathered. Must be called before anything changes that routing depends on.
    pub(super) fn route_gathered(&mut self) {
        if let Some(end_spread) = self.gathered.end_spread {
            end_spread(self);
        }
        let Gathered { at, exact, .. } = self.gathered;
        match self.gathered.publications.len() {
            0 => {}
            1 => {
                if let Some(publication) = self.gathered.publications.pop() {
                    self.route_one(at, &publication, exact);
                }
            }
            _ => {
                let publications = core::mem::take(&mut self.gathered.publications);
                self.route_run(at, &Arc::new(Run::new(publications)), exact);
            }
        }
    }

    fn route_one(
        &mut self,
        now: Instant,
        publication: &Arc<Publication<P>>,
        exact: Option<RouteId>,
    ) {
        let now = self.handle_overdue(now);
        let mut matched = core::mem::take(&mut self.matched);
        matched.extend(exact);
        self.router
            .for_each_wildcard(&publication.topic, |route| matched.push(route));
        for route in matched.drain(..) {
            if !self.router.is_exact(route) {
                for index in self.router.subscribers(route) {
                    self.subscribers.deliver(now, *index, publication);
                }
            } else if let Some(reason) = publication.end {
                self.router.wake_all(route);
                for index in self.router.subscribers(route) {
                    self.subscribers.deliver(now, *index, publication);
                }
                self.end_route(route, reason);
            } else {
                self.route_exact(now, route, publication);
            }
        }
        self.matched = matched;
    }

    /// Hands a publication to the subscribers for which it makes a difference; resting gates are passed over.
    fn route_exact(&mut self, now: Instant, route: RouteId, publication: &Arc<Publication<P>>) {
        let subscribers = &mut self.subscribers;
        if self.router.has_resting(route) {
            subscribers.pass_by(now, route, publication);
        }
        self.router.visit(route, |index| {
            let gate = subscribers.deliver(now, *index, publication);
            gate.is_some_and(|gate| subscribers.rest(gate, route))
        });
    }

    fn route_run(&mut self, now: Instant, run: &Arc<Run<P>>, exact: Option<RouteId>) {
        let now = self.handle_overdue(now);
        let Some(first) = run.publications().first() else {
            return;
        };
        let mut matched = core::mem::take(&mut self.matched);
        matched.extend(exact);
        self.router
            .for_each_wildcard(&first.topic, |route| matched.push(route));
        for route in matched.drain(..) {
            let subscribers = &mut self.subscribers;
            if !self.router.is_exact(route) {
                for index in self.router.subscribers(route) {
                    subscribers.deliver_run(now, *index, run);
                }
                continue;
            }
            if self.router.has_resting(route) {
                for publication in run.publications() {
                    subscribers.pass_by(now, route, publication);
                }
            }
            self.router.visit(route, |index| {
                let gate = subscribers.deliver_run(now, *index, run);
                gate.is_some_and(|gate| subscribers.rest(gate, route))
            });
        }
        self.matched = matched;
    }

    /// Handles deadlines that have passed, so that publications can pass over the gates that still rest.
    pub(super) fn handle_overdue(&mut self, now: Instant) -> Instant {
        let router = &mut self.router;
        self.subscribers
            .handle_overdue(now, |seat| wake(router, *seat))
    }

    fn end_route(&mut self, route: RouteId, reason: EndReason) {
        let mut ending = core::mem::take(&mut self.ending);
        ending.extend(
            self.router
                .subscribers(route)
                .map(|index| self.subscribers.id(*index)),
        );
        for id in ending.drain(..) {
            self.end_subscription(id, reason);
        }
        self.ending = ending;
    }

    pub(super) fn end_subscription(&mut self, id: SubscriptionId, reason: EndReason) {
        let Some(pattern) = self.pattern_of(id).cloned() else {
            return;
        };
        if let Some(seat) = self.subscribers.end(id, pattern, reason) {
            self.leave_route(seat);
        }
    }

    /// A subscription has gone: removes its route if it was the last one.
    pub(super) fn leave_route(&mut self, seat: Seat) {
        self.changes.note();
        let subscribers = &mut self.subscribers;
        let left = self
            .router
            .leave(seat, |moved| *subscribers.tag_mut(*moved) = seat);
        if left.ended_rest {
            subscribers.forget_passed(seat.route());
        }
        let Some(pattern) = left.gone else { return };
        if self.is_copy {
            self.released.push(pattern);
            return;
        }
        let topic = pattern.exact().and_then(|topic| self.topics.find(&topic));
        let Some(topic) = topic else { return };
        self.topics.get_mut(topic).route = None;
        // A topic without publications is remembered only while somebody waits for it.
        if self.topics.get(topic).history.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// A pattern may have nothing left that keeps it: reports it as released, unless topics live here. The mirror drops
    /// it if no subscription uses or awaits it.
    pub(super) fn note_released(&mut self, pattern: Pattern) {
        if self.is_copy {
            self.released.push(pattern);
        }
    }

    /// The next entry of the queue, with runs in one piece.
    pub(super) fn poll_owed(&mut self) -> Option<Owed<P>> {
        if self.gathered.since().is_some() {
            self.route_gathered();
        }
        self.subscribers.poll_owed()
    }

    /// Returns whether the gathered publications, which are of one topic, are all there is to emit.
    pub(super) fn owes_one_topic(&self) -> bool {
        self.subscribers.owes_nothing()
    }
}

/// Makes a subscription's gate be visited again. Returns whether another gate of its route rests.
pub(super) fn wake(router: &mut Routes<u32>, seat: Seat) -> bool {
    router.wake(seat);
    router.has_resting(seat.route())
}
