//! Who gets a publication: from a topic to the routes that select it, and from a route to its subscribers.
//!
//! A **route** is one pattern and all that subscribe to it. Routes without wildcards are found by the hash
//! of their text, the others by a trie of their segments, which visits only nodes that the topic leads to. So a match
//! costs what the topic's segments and its matching routes cost, whatever else is subscribed; a
//! subscription to a known pattern costs a hash of its text; and a subscription is given up by a [`Ticket`] that
//! knows where it lies.
//!
//! Everything lies in a few growing arrays and refers to each other by 4-byte indexes: 12 bytes for each
//! subscription beyond the subscriber itself, and the room into which arrays grow. Arrays that are shared by
//! all routes keep their largest size, ready for the next rush.
//!
//! Hash tables are only ever asked, never iterated, so every order that shows depends on nothing but
//! the order of the calls.

mod places;
mod rests;
mod slab;
mod trie;

use core::mem::size_of;

use alloc::vec::Vec;

use foldhash::fast::FixedState;

use crate::names::Names;
use crate::topic::{Pattern, Topic};
use places::{Place, Places};
use rests::Rests;
use slab::Slab;
use trie::Trie;

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

/// Subscribers of any kind `S`, by the patterns they subscribed to.
///
/// Asking: [`find`](Self::find), [`for_each_match`](Self::for_each_match), then
/// [`subscribers`](Self::subscribers) of the routes found. Changing: [`subscribe`](Self::subscribe),
/// [`unsubscribe`](Self::unsubscribe). Whoever subscribes twice is there twice.
///
/// A subscriber may **rest**: [`visit`](Self::visit) passes it over at next to no cost until it is woken. For those that
/// need not hear of each publication; who that is, is its owner's affair.
#[derive(Debug)]
pub struct Router<S> {
    routes: Slab<Route<S>>,
    /// The routes by the hash of their pattern's text. A topic is found here too: its text is that
    /// of the pattern that selects nothing else.
    by_text: Names,
    /// The routes whose pattern has wildcards.
    trie: Trie,
    places: Places,
}

#[derive(Debug)]
struct Route<S> {
    pattern: Pattern,
    entries: Vec<Entry<S>>,
    /// Where the trie refers to the route; `None` for a pattern without wildcards.
    leaf: Option<trie::Leaf>,
    /// Which of the entries a visit passes over.
    rests: Rests,
}

#[derive(Debug)]
struct Entry<S> {
    subscriber: S,
    /// The index of its [`Place`], to be told when the entry moves.
    place: u32,
}

impl<S> Router<S> {
    /// A router without subscribers.
    ///
    /// `seed` is the host's randomness. It keeps those who choose topics from choosing ones whose hashes
    /// collide, and changes no result.
    pub fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            trie: Trie::new(hasher.clone()),
            routes: Slab::default(),
            by_text: Names::new(hasher),
            places: Places::default(),
        }
    }

    /// Adds `subscriber` to those of `pattern`, as the last of them.
    ///
    /// # Panics
    /// With 2^32 subscriptions or routes at once.
    pub fn subscribe(&mut self, pattern: &Pattern, subscriber: S) -> Ticket {
        let route = self
            .find(pattern)
            .unwrap_or_else(|| self.add_route(pattern));
        self.join(route, subscriber)
    }

    /// Adds `subscriber` to those of a route that is known, as the last of them.
    ///
    /// # Panics
    /// If the route has no subscribers any more; with 2^32 subscriptions at once.
    pub fn join(&mut self, route: RouteId, subscriber: S) -> Ticket {
        let entries = &mut self.routes[route.0].entries;
        let place = self.places.take(index(entries.len()));
        entries.push(Entry {
            subscriber,
            place: place.index(),
        });
        Ticket { route, place }
    }

    /// Ends the subscription of `ticket` and returns its subscriber. The route's last subscriber takes
    /// its place; a route that nobody is left on is gone.
    ///
    /// # Panics
    /// If the ticket was used before.
    pub fn unsubscribe(&mut self, ticket: Ticket) -> S {
        let at = self.places.give_back(ticket.place);
        let Route { entries, rests, .. } = &mut self.routes[ticket.route.0];
        rests.swap_remove(at as usize, entries.len() - 1);
        let entry = entries.swap_remove(at as usize);
        if let Some(moved) = entries.get(at as usize) {
            self.places.move_to(moved.place, at);
        }
        if entries.is_empty() {
            self.remove_route(ticket.route);
        } else if entries.len() < entries.capacity() / 4 {
            entries.shrink_to(entries.len() * 2);
        }
        entry.subscriber
    }

    /// The route of exactly this pattern, if someone subscribes to it.
    pub fn find(&self, pattern: &Pattern) -> Option<RouteId> {
        self.find_text(pattern.as_str())
    }

    /// Calls `found` with every route whose pattern matches `topic`, once each: first that of the topic itself,
    /// then patterns from the left segment to the right, `**` before `*` before the segment itself.
    pub fn for_each_match(&self, topic: &Topic, mut found: impl FnMut(RouteId)) {
        if let Some(route) = self.find_exact(topic) {
            found(route);
        }
        self.for_each_wildcard(topic, found);
    }

    /// The route of the topic itself, if someone subscribes to it.
    pub fn find_exact(&self, topic: &Topic) -> Option<RouteId> {
        self.find_text(topic.as_str())
    }

    /// As [`for_each_match`](Self::for_each_match), without the route of the topic itself.
    pub fn for_each_wildcard(&self, topic: &Topic, mut found: impl FnMut(RouteId)) {
        self.trie.for_each_match(topic, &mut found);
    }

    /// The pattern of a route.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn pattern(&self, route: RouteId) -> &Pattern {
        &self.routes[route.0].pattern
    }

    /// The subscribers of a route, in the order in which they came, less the moves of
    /// [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn subscribers(&self, route: RouteId) -> impl ExactSizeIterator<Item = &S> {
        let entries = &self.routes[route.0].entries;
        entries.iter().map(|entry| &entry.subscriber)
    }

    /// Calls `visit` with each subscriber of a route that doesn't rest, in the order of
    /// [`subscribers`](Self::subscribers). Whoever it returns `true` for rests from then on.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn visit(&mut self, route: RouteId, mut visit: impl FnMut(&S) -> bool) {
        let Route { entries, rests, .. } = &mut self.routes[route.0];
        if rests.is_empty() {
            for (at, entry) in entries.iter().enumerate() {
                if visit(&entry.subscriber) {
                    rests.set(at, true);
                }
            }
            return;
        }
        let mut next = rests.next_awake(0, entries.len());
        while let Some(at) = next {
            if visit(&entries[at].subscriber) {
                rests.set(at, true);
            }
            next = rests.next_awake(at + 1, entries.len());
        }
    }

    /// Whether a subscriber of a route rests; not if the route is gone.
    pub fn has_resting(&self, route: RouteId) -> bool {
        let route = self.routes.get(route.0);
        route.is_some_and(|route| !route.rests.is_empty())
    }

    /// Lets the subscriber of a ticket be visited again.
    ///
    /// # Panics
    /// If its subscription has ended.
    pub fn wake(&mut self, ticket: Ticket) {
        let at = self.places.at(ticket.place);
        self.routes[ticket.route.0].rests.set(at as usize, false);
    }

    /// Lets all subscribers of a route be visited again.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn wake_all(&mut self, route: RouteId) {
        self.routes[route.0].rests.clear();
    }

    /// How many subscribers a route has; 0 if it is gone.
    pub fn subscriber_count(&self, route: RouteId) -> usize {
        self.routes
            .get(route.0)
            .map_or(0, |route| route.entries.len())
    }

    /// The routes that have subscribers, by rising id.
    pub fn routes(&self) -> impl Iterator<Item = RouteId> {
        self.routes.iter().map(|(id, _)| RouteId(id))
    }

    /// How many routes have subscribers.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody subscribes to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes the router has allocated, what subscribers own themselves not included.
    ///
    /// Pattern texts are counted, though the subscriber may share them. Visits every route: for
    /// reports, not for every publication.
    pub fn memory_bytes(&self) -> usize {
        let of_route = |(_, route): (u32, &Route<S>)| {
            route.entries.capacity() * size_of::<Entry<S>>()
                + route.rests.memory_bytes()
                + route.pattern.as_str().len()
                + 2 * size_of::<usize>()
        };
        self.routes.iter().map(of_route).sum::<usize>()
            + self.routes.memory_bytes()
            + self.by_text.memory_bytes()
            + self.trie.memory_bytes()
            + self.places.memory_bytes()
    }

    fn find_text(&self, text: &str) -> Option<RouteId> {
        self.by_text
            .find(text, |route| self.routes[route].pattern.as_str() == text)
            .map(RouteId)
    }

    fn add_route(&mut self, pattern: &Pattern) -> RouteId {
        let id = RouteId(self.routes.insert(Route {
            pattern: pattern.clone(),
            // Most topics have one watcher.
            entries: Vec::with_capacity(1),
            leaf: None,
            rests: Rests::default(),
        }));
        if !pattern.is_exact() {
            self.routes[id.0].leaf = Some(self.trie.insert(pattern, id));
        }
        self.by_text.insert(pattern.as_str(), id.0);
        id
    }

    fn remove_route(&mut self, id: RouteId) {
        let route = self.routes.remove(id.0);
        self.by_text.remove(route.pattern.as_str(), id.0);
        if let Some(leaf) = route.leaf {
            self.trie.remove(leaf);
        }
    }
}

/// A length as an index into the router's arrays.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than 2^32 subscriptions, routes and trie nodes")
}

#[cfg(test)]
mod tests;
