//! Spreading a publication over its subscribers, one at a time, as the hub's owner polls them.
//!
//! Queueing a delivery for each of a thousand subscribers, and taking them out again, costs more than delivering. So an
//! owner that can serve a subscriber at once polls one after the other. For subscribers with a pace, the publication
//! goes through their gates and the queue as usual.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Hub;
use super::due::{DownlinkId, SubscriptionId};
use crate::payload::Payload;
use crate::publication::Publication;
use crate::router::RouteId;
use crate::time::Instant;
use crate::topic::Pattern;

/// A publication, and the pattern by which the next recipients get it.
#[derive(Debug)]
pub struct Spread<P> {
    /// The publication.
    pub publication: Arc<Publication<P>>,
    /// The pattern of their subscriptions, if it has wildcards.
    pub via: Option<Pattern>,
}

/// How far a publication has been spread.
#[derive(Debug)]
pub(super) struct Spreading<P> {
    publication: Arc<Publication<P>>,
    at: Instant,
    /// The routes that match its topic, the topic's own first.
    routes: Vec<RouteId>,
    /// The route being visited, and the place in it to continue at.
    route: usize,
    place: usize,
}

impl<P: Payload> Hub<P> {
    /// The publication to spread, if it is the only thing to emit, with the pattern of the next recipients;
    /// [`Hub::next_recipient`] then names them. `None` if there is none, or anything else is to be emitted.
    pub(super) fn poll_spread(&mut self) -> Option<Spread<P>> {
        if self.gathered.spreading.is_none() {
            self.begin_spread()?;
        }
        let spreading = self.gathered.spreading.as_mut()?;
        while let Some(route) = spreading.routes.get(spreading.route) {
            if self.router.next_awake(*route, spreading.place).is_some() {
                return self.spread();
            }
            spreading.route += 1;
            spreading.place = 0;
        }
        self.end_spread();
        None
    }

    /// What [`Hub::poll_spread`] last returned.
    pub(super) fn spread(&self) -> Option<Spread<P>> {
        let spreading = self.gathered.spreading.as_ref()?;
        let route = *spreading.routes.get(spreading.route)?;
        let is_exact = self.router.is_exact(route);
        Some(Spread {
            publication: Arc::clone(&spreading.publication),
            via: (!is_exact).then(|| self.router.pattern(route).clone()),
        })
    }

    fn begin_spread(&mut self) -> Option<()> {
        if self.gathered.publications.len() != 1 || !self.subscribers.owes_nothing() {
            return None;
        }
        let publication = self.gathered.publications.pop()?;
        let at = self.handle_overdue(self.gathered.at);
        let mut routes = core::mem::take(&mut self.matched);
        if let Some(exact) = self.gathered.exact {
            if self.router.has_resting(exact) {
                self.subscribers.pass_by(at, exact, &publication);
            }
            routes.push(exact);
        }
        self.router
            .for_each_wildcard(&publication.topic, |route| routes.push(route));
        self.gathered.spreading = Some(Spreading {
            publication,
            at,
            routes,
            route: 0,
            place: 0,
        });
        self.gathered.end_spread = Some(Self::route_rest);
        Some(())
    }

    fn end_spread(&mut self) {
        self.gathered.end_spread = None;
        if let Some(mut spreading) = self.gathered.spreading.take() {
            spreading.routes.clear();
            self.matched = spreading.routes;
        }
    }

    /// Returns whether a publication is being spread.
    pub(super) const fn is_spreading(&self) -> bool {
        self.gathered.spreading.is_some()
    }

    /// The next recipient without a pace, of those with the pattern that [`Hub::poll_spread`] returned.
    pub(super) fn next_recipient(&mut self) -> Option<(DownlinkId, SubscriptionId)> {
        let spreading = self.gathered.spreading.as_mut()?;
        let route = *spreading.routes.get(spreading.route)?;
        while let Some((place, index)) = self.router.next_awake(route, spreading.place) {
            let index = *index;
            spreading.place = place + 1;
            let immediate = self.subscribers.immediate(index);
            if immediate.is_some() {
                return immediate;
            }
            let subscribers = &mut self.subscribers;
            let gate = subscribers.deliver(spreading.at, index, &spreading.publication);
            if self.router.is_exact(route) && gate.is_some_and(|gate| subscribers.rest(gate, route))
            {
                self.router.rest(route, place);
            }
        }
        None
    }

    /// Queues the publication for all recipients that have not been polled.
    fn route_rest(&mut self) {
        while let Some(Spread { publication, .. }) = self.poll_spread() {
            let at = self.gathered.at;
            while let Some((_, SubscriptionId { index, .. })) = self.next_recipient() {
                self.subscribers.deliver(at, index, &publication);
            }
        }
    }
}
