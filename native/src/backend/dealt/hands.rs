//! Which shards have a share of a link, and which patterns they follow through it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::router::{Router, Ticket};
use tidegate_core::topic::Pattern;

use crate::backend::{BackendError, Feed, FeedEvent};
use crate::hub::Publication;

/// The shards at a link.
pub(super) struct Hands {
    /// The number of the current link. What arrives through an earlier one is stale.
    link: u64,
    state: State,
    hands: Vec<Hand>,
    followers: Router<usize>,
    /// Reused between publications.
    told: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Opening,
    Up,
}

#[derive(Default)]
struct Hand {
    /// How often it requested the link.
    wishes: u64,
    feed: Option<Feed>,
    has_joined: bool,
    followed: BTreeMap<Pattern, Ticket>,
}

impl Hands {
    pub(super) fn new(count: usize) -> Self {
        Self {
            link: 0,
            state: State::Down,
            hands: (0..count).map(|_| Hand::default()).collect(),
            followers: Router::new(crate::random_seed()),
            told: Vec::new(),
        }
    }

    /// The number of the current link.
    pub(super) const fn link(&self) -> u64 {
        self.link
    }

    pub(super) fn has_joined(&self, hand: usize) -> bool {
        self.state == State::Up && self.hands[hand].has_joined
    }

    /// Notes that a shard requests the link, and returns the number of this request.
    pub(super) fn wish(&mut self, hand: usize) -> u64 {
        self.hands[hand].wishes += 1;
        self.hands[hand].wishes
    }

    /// Whether this is still the shard's latest request.
    pub(super) fn is_wanted(&self, hand: usize, wish: u64) -> bool {
        self.hands[hand].wishes == wish
    }

    /// Gives a shard its share of the link. If the link is down, or if this shard already has a share and so no longer trusts the link,
    /// returns the number under which a new one has to be opened.
    pub(super) fn join(&mut self, hand: usize, feed: Feed, backend: &str) -> Option<u64> {
        let is_distrusted = self.has_joined(hand);
        self.hands[hand].feed = Some(feed);
        if self.state == State::Up && !is_distrusted {
            self.hands[hand].has_joined = true;
            return None;
        }
        self.leave(hand);
        self.lose(&BackendError::Unreachable {
            backend: backend.to_owned(),
            reason: "the link to it is opened anew".to_owned(),
        });
        self.link += 1;
        self.state = State::Opening;
        Some(self.link)
    }

    /// Notes that the link with this number is open and that the shard that opened it has a share, unless it was lost meanwhile.
    pub(super) fn open(&mut self, link: u64, hand: usize) {
        if self.link == link && self.state == State::Opening {
            self.state = State::Up;
            self.hands[hand].has_joined = true;
        }
    }

    /// Tells all shards that the link is lost.
    pub(super) fn lose(&mut self, error: &BackendError) {
        self.state = State::Down;
        for hand in 0..self.hands.len() {
            if self.leave(hand)
                && let Some(feed) = &self.hands[hand].feed
            {
                feed.lost(error.clone());
            }
        }
    }

    /// Takes a shard's share away, and returns whether it had one.
    fn leave(&mut self, hand: usize) -> bool {
        let hand = &mut self.hands[hand];
        for ticket in std::mem::take(&mut hand.followed).into_values() {
            self.followers.unsubscribe(ticket);
        }
        std::mem::take(&mut hand.has_joined)
    }

    /// Notes that a shard no longer wants the link, and returns whether it was the last one.
    pub(super) fn part(&mut self, hand: usize) -> bool {
        self.leave(hand);
        let was_here = self.hands[hand].feed.take().is_some();
        was_here && self.hands.iter().all(|hand| hand.feed.is_none())
    }

    pub(super) fn follow(&mut self, hand: usize, patterns: &[Pattern]) {
        let followed = &mut self.hands[hand].followed;
        for pattern in patterns {
            let ticket = || self.followers.subscribe(pattern, hand);
            followed.entry(pattern.clone()).or_insert_with(ticket);
        }
    }

    /// Notes that a shard no longer follows these patterns, and returns those that no shard follows now.
    pub(super) fn unfollow(&mut self, hand: usize, patterns: &[Pattern]) -> Vec<Pattern> {
        for pattern in patterns {
            if let Some(ticket) = self.hands[hand].followed.remove(pattern) {
                self.followers.unsubscribe(ticket);
            }
        }
        let is_unwanted = |pattern: &&Pattern| self.followers.find(pattern).is_none();
        patterns.iter().filter(is_unwanted).cloned().collect()
    }

    /// Passes a publication to each shard that follows its topic, once.
    pub(super) fn deliver(&mut self, publication: &Publication) {
        self.told.clear();
        let (told, hands) = (&mut self.told, &self.hands);
        self.followers.for_each_match(&publication.topic, |route| {
            for hand in self.followers.subscribers(route) {
                if told.contains(hand) {
                    continue;
                }
                told.push(*hand);
                if let Some(feed) = &hands[*hand].feed {
                    feed.publication(Arc::clone(publication));
                }
            }
        });
    }

    /// Passes an event to all shards but one.
    pub(super) fn deliver_to_all(&self, event: &FeedEvent, but: Option<usize>) {
        for (number, hand) in self.hands.iter().enumerate() {
            if Some(number) != but
                && hand.has_joined
                && let Some(feed) = &hand.feed
            {
                feed.pass_on(event.clone());
            }
        }
    }
}
