//! The routes themselves, and where their subscribers sit.
//!
//! The caller keeps each subscriber's [`Seat`] with the subscriber, and is told when another one takes it. So leaving
//! touches only the leaver, its route, the route's list and the subscriber that moves.

use core::mem::size_of;

use alloc::vec::Vec;

use foldhash::fast::FixedState;

use super::rests::Rests;
use super::slab::Slab;
use super::trie::{self, Trie};
use super::{RouteId, index};
use crate::names::Names;
use crate::topic::{Pattern, Topic};

/// Where a subscriber is: its route, and its place in the route's list. The seat may be reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    pub(super) route: RouteId,
    pub(super) at: u32,
}

impl Seat {
    /// The route that was subscribed to.
    pub const fn route(self) -> RouteId {
        self.route
    }
}

/// The effects of leaving a route.
#[derive(Debug)]
pub struct Left<S> {
    /// The subscriber that left.
    pub subscriber: S,
    /// Whether a subscriber of the route rested before, and none does any more.
    pub ended_rest: bool,
    /// The pattern of the route, if it was removed together with its last subscriber.
    pub gone: Option<Pattern>,
}

/// Subscribers of any type `S`, by the patterns they subscribed to, each in a [`Seat`].
///
/// To query: [`find`](Self::find), [`for_each_match`](Self::for_each_match), then [`subscribers`](Self::subscribers) of
/// the routes found. To change: [`subscribe`](Self::subscribe), [`leave`](Self::leave). A subscriber that subscribes
/// twice is listed twice.
///
/// A subscriber may **rest**: [`visit`](Self::visit) passes over it, at next to no cost, until it is woken. This is for
/// subscribers that need not see every publication; which ones, is up to the owner.
#[derive(Debug)]
pub struct Routes<S> {
    slab: Slab<Route<S>>,
    /// The patterns of the routes, under the same indexes. Separate, because they are needed far less often.
    patterns: Slab<Pattern>,
    /// The routes by the hash of their pattern's text. Topics are found here, too: a topic has the same text as the
    /// pattern that matches only it.
    by_text: Names,
    /// The routes whose pattern has wildcards.
    trie: Trie,
    len: usize,
}

/// What a publication and a leaving subscriber need of a route: less than a cache line.
#[derive(Debug)]
struct Route<S> {
    subscribers: Vec<S>,
    /// The subscribers that a visit passes over.
    rests: Rests,
    /// The trie's reference to the route; `None` for a pattern without wildcards.
    leaf: Option<trie::Leaf>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Route<u32>>() == 56);

impl<S> Routes<S> {
    /// No routes.
    ///
    /// `seed` is randomness from the host. It prevents clients from choosing topics whose hashes collide, and changes
    /// no result.
    pub fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            slab: Slab::default(),
            patterns: Slab::default(),
            trie: Trie::new(hasher.clone()),
            by_text: Names::new(hasher),
            len: 0,
        }
    }

    /// Adds `subscriber` to a pattern, after those that are there.
    ///
    /// # Panics
    /// With 2^32 subscriptions to one pattern or routes at once.
    pub fn subscribe(&mut self, pattern: &Pattern, subscriber: S) -> Seat {
        let route = self
            .find(pattern)
            .unwrap_or_else(|| self.add_route(pattern));
        self.join(route, subscriber)
    }

    /// Adds `subscriber` to a known route, after those that are there.
    ///
    /// # Panics
    /// If the route has no subscribers any more; with 2^32 subscriptions to it.
    pub fn join(&mut self, route: RouteId, subscriber: S) -> Seat {
        let subscribers = &mut self.slab[route.0].subscribers;
        let at = index(subscribers.len());
        subscribers.push(subscriber);
        self.len += 1;
        Seat { route, at }
    }

    /// Ends the subscription in `seat`. The route's last subscriber moves into the seat, and `moved` is called with it;
    /// a route without subscribers is removed.
    ///
    /// # Panics
    /// If the seat is empty.
    pub fn leave(&mut self, seat: Seat, moved: impl FnOnce(&S)) -> Left<S> {
        let Route {
            subscribers, rests, ..
        } = &mut self.slab[seat.route.0];
        let at = seat.at as usize;
        let rested = !rests.is_empty();
        rests.swap_remove(at, subscribers.len() - 1);
        let ended_rest = rested && rests.is_empty();
        let subscriber = subscribers.swap_remove(at);
        self.len -= 1;
        if let Some(last) = subscribers.get(at) {
            moved(last);
        }
        let mut gone = None;
        if subscribers.is_empty() {
            gone = Some(self.remove_route(seat.route));
        } else if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
        Left {
            subscriber,
            ended_rest,
            gone,
        }
    }

    /// The route of exactly this pattern, if it has subscribers.
    pub fn find(&self, pattern: &Pattern) -> Option<RouteId> {
        self.find_text(pattern.as_str())
    }

    /// Calls `found` with every route whose pattern matches `topic`, once each: first that of the topic by name, then
    /// the others by their segments from left to right, `**` before `*` before the literal segment.
    pub fn for_each_match(&self, topic: &Topic, mut found: impl FnMut(RouteId)) {
        if let Some(route) = self.find_exact(topic) {
            found(route);
        }
        self.for_each_wildcard(topic, found);
    }

    /// The route of the topic by name, if it has subscribers.
    pub fn find_exact(&self, topic: &Topic) -> Option<RouteId> {
        self.find_text(topic.as_str())
    }

    /// Like [`for_each_match`](Self::for_each_match), without the route of the topic by name.
    pub fn for_each_wildcard(&self, topic: &Topic, mut found: impl FnMut(RouteId)) {
        self.trie.for_each_match(topic, &mut found);
    }

    /// Returns whether the pattern of a route has no wildcards.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn is_exact(&self, route: RouteId) -> bool {
        self.slab[route.0].leaf.is_none()
    }

    /// The pattern of a route.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn pattern(&self, route: RouteId) -> &Pattern {
        &self.patterns[route.0]
    }

    /// The subscribers of a route in the order of their arrival, except for the moves by [`leave`](Self::leave).
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn subscribers(&self, route: RouteId) -> impl ExactSizeIterator<Item = &S> {
        self.slab[route.0].subscribers.iter()
    }

    /// Calls `visit` with each subscriber of a route that doesn't rest, in the order of
    /// [`subscribers`](Self::subscribers). Those for which it returns `true` rest from then on.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn visit(&mut self, route: RouteId, mut visit: impl FnMut(&S) -> bool) {
        let Route {
            subscribers, rests, ..
        } = &mut self.slab[route.0];
        if rests.is_empty() {
            for (at, subscriber) in subscribers.iter().enumerate() {
                if visit(subscriber) {
                    rests.set(at, true);
                }
            }
            return;
        }
        let mut next = rests.next_awake(0, subscribers.len());
        while let Some(at) = next {
            if visit(&subscribers[at]) {
                rests.set(at, true);
            }
            next = rests.next_awake(at + 1, subscribers.len());
        }
    }

    /// The first subscriber of a route, at or after this place, that doesn't rest, with its place. Places follow the
    /// order of [`subscribers`](Self::subscribers), starting at 0.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn next_awake(&self, route: RouteId, from: usize) -> Option<(usize, &S)> {
        let Route {
            subscribers, rests, ..
        } = &self.slab[route.0];
        let at = if rests.is_empty() {
            from
        } else {
            rests.next_awake(from, subscribers.len())?
        };
        Some((at, subscribers.get(at)?))
    }

    /// Makes the subscriber at a place of a route rest.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn rest(&mut self, route: RouteId, at: usize) {
        self.slab[route.0].rests.set(at, true);
    }

    /// Returns whether any subscriber of a route rests; `false` if the route is gone.
    pub fn has_resting(&self, route: RouteId) -> bool {
        let route = self.slab.get(route.0);
        route.is_some_and(|route| !route.rests.is_empty())
    }

    /// Makes visits include the subscriber in a seat again.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn wake(&mut self, seat: Seat) {
        self.slab[seat.route.0].rests.set(seat.at as usize, false);
    }

    /// Makes visits include all subscribers of a route again.
    ///
    /// # Panics
    /// If the route has no subscribers any more.
    pub fn wake_all(&mut self, route: RouteId) {
        self.slab[route.0].rests.clear();
    }

    /// How many subscribers a route has; 0 if it is gone.
    pub fn subscriber_count(&self, route: RouteId) -> usize {
        self.slab
            .get(route.0)
            .map_or(0, |route| route.subscribers.len())
    }

    /// The routes that have subscribers, in ascending order of their ids.
    pub fn routes(&self) -> impl Iterator<Item = RouteId> {
        self.slab.iter().map(|(id, _)| RouteId(id))
    }

    /// How many routes have subscribers.
    pub fn route_count(&self) -> usize {
        self.slab.len()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no subscriptions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes are allocated, without those that subscribers own themselves.
    ///
    /// Pattern texts are counted, though subscribers may share them. Visits every route, so it is for reports, not for
    /// every publication.
    pub fn memory_bytes(&self) -> usize {
        let of_route = |(_, route): (u32, &Route<S>)| {
            route.subscribers.capacity() * size_of::<S>() + route.rests.memory_bytes()
        };
        let of_pattern = |(_, pattern): (u32, &Pattern)| {
            // Its text, and the two reference counts of the shared allocation.
            pattern.as_str().len() + 2 * size_of::<usize>()
        };
        self.slab.iter().map(of_route).sum::<usize>()
            + self.patterns.iter().map(of_pattern).sum::<usize>()
            + self.slab.memory_bytes()
            + self.patterns.memory_bytes()
            + self.by_text.memory_bytes()
            + self.trie.memory_bytes()
    }

    fn find_text(&self, text: &str) -> Option<RouteId> {
        self.by_text
            .find(text, |route| self.patterns[route].as_str() == text)
            .map(RouteId)
    }

    fn add_route(&mut self, pattern: &Pattern) -> RouteId {
        let id = RouteId(self.slab.insert(Route {
            // Most topics have one subscriber.
            subscribers: Vec::with_capacity(1),
            rests: Rests::default(),
            leaf: None,
        }));
        let of_pattern = self.patterns.insert(pattern.clone());
        debug_assert_eq!(
            of_pattern, id.0,
            "both are added to and taken from together"
        );
        if !pattern.is_exact() {
            self.slab[id.0].leaf = Some(self.trie.insert(pattern, id));
        }
        self.by_text.insert(pattern.as_str(), id.0);
        id
    }

    fn remove_route(&mut self, id: RouteId) -> Pattern {
        let route = self.slab.remove(id.0);
        let pattern = self.patterns.remove(id.0);
        self.by_text.remove(pattern.as_str(), id.0);
        if let Some(leaf) = route.leaf {
            self.trie.remove(leaf);
        }
        pattern
    }

    /// How many nodes the trie has.
    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        self.trie.node_count()
    }
}
