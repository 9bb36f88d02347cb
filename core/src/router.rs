//! Finds the subscribers that get a publication: the routes that match a topic, and the subscribers of a route.
//!
//! A **route** is one pattern and all its subscribers. Routes without wildcards are found by the hash of their text,
//! the others in a trie of their segments, of which only nodes that the topic leads to are visited. So the cost of a
//! match depends only on the topic's segments and the matching routes, however much else is subscribed, and subscribing
//! to a known pattern costs one hash of its text.
//!
//! A subscriber has a [`Seat`] in its route, which changes when another subscriber leaves. Callers that can keep track
//! of that use [`Routes`]. For others there is [`Router`], in which a subscription is ended with a [`Ticket`] that
//! never changes, at the cost of another 12 bytes and two more lookups.
//!
//! Everything is in a few growing arrays that refer to each other by 4-byte indexes. Arrays shared by all routes never
//! shrink, so they are ready for the next rush.
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

/// Identifies a route while it has subscribers. Afterwards, the id may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(u32);

impl RouteId {
    /// The id as a small number, suitable as an index into an array.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identifies a subscription, to end it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    route: RouteId,
    place: Place,
}

impl Ticket {
    /// The route that was subscribed to.
    pub const fn route(self) -> RouteId {
        self.route
    }
}

/// [`Routes`] with tickets for subscribers.
#[derive(Debug)]
pub struct Router<S> {
    routes: Routes<Placed<S>>,
    places: Places,
}

#[derive(Debug)]
struct Placed<S> {
    subscriber: S,
    /// The index of its [`Place`], which is updated when it moves.
    place: u32,
}

impl<S> Router<S> {
    /// A router without subscribers. For `seed`, see [`Routes::new`].
    pub fn new(seed: u64) -> Self {
        Self {
            routes: Routes::new(seed),
            places: Places::default(),
        }
    }

    /// Adds `subscriber` to a pattern, after those that are there.
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

    /// Ends the subscription of `ticket` and returns its subscriber. The route's last subscriber moves into its place;
    /// a route without subscribers is removed.
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

    /// The route of exactly this pattern, if it has subscribers.
    pub fn find(&self, pattern: &Pattern) -> Option<RouteId> {
        self.routes.find(pattern)
    }

    /// Like [`Routes::for_each_match`].
    pub fn for_each_match(&self, topic: &Topic, found: impl FnMut(RouteId)) {
        self.routes.for_each_match(topic, found);
    }

    /// The route of the topic by name, if it has subscribers.
    pub fn find_exact(&self, topic: &Topic) -> Option<RouteId> {
        self.routes.find_exact(topic)
    }

    /// Like [`for_each_match`](Self::for_each_match), without the route of the topic by name.
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

    /// The subscribers of a route in the order of their arrival, except for the moves by
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

    /// The routes that have subscribers, in ascending order of their ids.
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

    /// Returns whether there are no subscriptions.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Like [`Routes::memory_bytes`], including the tickets.
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
