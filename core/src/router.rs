//! Finds who gets a publication: the routes that match a topic, and the subscribers of a route.
//!
//! A **route** is one pattern and all subscribers to it. Routes without wildcards are found by the hash of their text,
//! the others in a trie of their segments, of which only the nodes are visited that the topic leads to. So a match
//! costs what the topic's segments and its matching routes cost, whatever else is subscribed, and a subscription to a
//! known pattern costs a hash of its text.
//!
//! A subscriber has a [`Seat`] in its route, which changes when another subscriber leaves. Callers that can keep track
//! of that use [`Routes`]. For others there is [`Router`], in which a subscription is ended with a [`Ticket`] that
//! never changes, at the price of another 12 bytes and two more lookups.
//!
//! Everything is in a few growing arrays, with references by 4-byte indexes. Arrays that all routes share keep their
//! largest size, ready for the next rush.
//!
//! Hash tables are never iterated, so every visible order depends on nothing but the order of the calls.

mod places;
mod rests;
mod routes;
mod slab;
mod trie;

use crate::topic::{Pattern, Topic};
use places::{Place, Places};

pub use routes::{Left, Routes, Seat};

/// Names a route while it has subscribers. Afterwards another route may get the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(u32);

impl RouteId {
    /// The id as a small number, fit to index an array with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A subscription's place, to give it up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    route: RouteId,
    place: Place,
}

impl Ticket {
    /// What was subscribed to.
    pub const fn route(self) -> RouteId {
        self.route
    }
}

/// [`Routes`] whose subscribers have tickets.
#[derive(Debug)]
pub struct Router<S> {
    routes: Routes<Placed<S>>,
    places: Places,
}

#[derive(Debug)]
struct Placed<S> {
    subscriber: S,
    /// The index of its [`Place`], to be told when it moves.
    place: u32,
}

impl<S> Router<S> {
    /// A router without subscribers. `seed`: as for [`Routes::new`].
    pub fn new(seed: u64) -> Self {
        Self {
            routes: Routes::new(seed),
            places: Places::default(),
        }
    }

    /// Adds `subscriber` to those of `pattern`, as the last of them.
    ///
    /// # Panics
    /// With 2^32 subscriptions or routes at once.
    pub fn subscribe(&mut self, pattern: &Pattern, subscriber: S) -> Ticket {
        let place = self.places.take();
        let seat = self.routes.subscribe(
            pattern,
            Placed {
                subscriber,
                place: place.index(),
            },
        );
        self.places.move_to(place.index(), seat.at);
        Ticket {
            route: seat.route(),
            place,
        }
    }

    /// Ends the subscription of `ticket` and returns its subscriber. The route's last subscriber takes
    /// its place; a route that nobody is left on is gone.
    ///
    /// # Panics
    /// If the ticket was used before.
    pub fn unsubscribe(&mut self, ticket: Ticket) -> S {
        let seat = Seat {
            route: ticket.route,
            at: self.places.give_back(ticket.place),
        };
        let places = &mut self.places;
        let left = self
            .routes
            .leave(seat, |moved| places.move_to(moved.place, seat.at));
        left.subscriber.subscriber
    }

    /// The route of exactly this pattern, if someone subscribes to it.
    pub fn find(&self, pattern: &Pattern) -> Option<RouteId> {
        self.routes.find(pattern)
    }

    /// As [`Routes::for_each_match`].
    pub fn for_each_match(&self, topic: &Topic, found: impl FnMut(RouteId)) {
        self.routes.for_each_match(topic, found);
    }

    /// The route of the topic itself, if someone subscribes to it.
    pub fn find_exact(&self, topic: &Topic) -> Option<RouteId> {
        self.routes.find_exact(topic)
    }

    /// As [`for_each_match`](Self::for_each_match), without the route of the topic itself.
    pub fn for_each_wildcard(&self, topic: &Topic, found: impl FnMut(RouteId)) {
        self.routes.for_each_wildcard(topic, found);
    }

    /// The pattern of a route.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn pattern(&self, route: RouteId) -> &Pattern {
        self.routes.pattern(route)
    }

    /// The subscribers of a route, in the order in which they came, less the moves of
    /// [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn subscribers(&self, route: RouteId) -> impl ExactSizeIterator<Item = &S> {
        let placed = self.routes.subscribers(route);
        placed.map(|placed| &placed.subscriber)
    }

    /// How many subscribers a route has; 0 if it is gone.
    pub fn subscriber_count(&self, route: RouteId) -> usize {
        self.routes.subscriber_count(route)
    }

    /// The routes that have subscribers, by rising id.
    pub fn routes(&self) -> impl Iterator<Item = RouteId> {
        self.routes.routes()
    }

    /// How many routes have subscribers.
    pub fn route_count(&self) -> usize {
        self.routes.route_count()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether nobody subscribes to anything.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// As [`Routes::memory_bytes`], with the tickets.
    pub fn memory_bytes(&self) -> usize {
        self.routes.memory_bytes() + self.places.memory_bytes()
    }
}

/// A length as an index into the router's arrays.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than 2^32 subscriptions, routes and trie nodes")
}

#[cfg(test)]
mod tests;
