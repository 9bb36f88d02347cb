//! All topics of a memory, in parts. A topic's name determines its part, and each part has a lock of its own.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::router::Ticket;
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::room::Room;
use super::store::{Follower, Store};
use crate::backend::{Feed, Keep};
use crate::json::Json;

/// The parts, and what is common to them.
pub(super) struct Topics {
    parts: Box<[Mutex<Store>]>,
    hashing: RandomState,
    room: Arc<Room>,
    /// The origin of the parts' clock.
    started: std::time::Instant,
}

/// A follower's pattern: registered in one part, or in all of them if it has wildcards.
pub(super) struct Following {
    first_part: usize,
    tickets: Vec<Ticket>,
}

impl Topics {
    pub(super) fn new(keep: &Keep, keeps_followed: bool, room: Room, parts: usize) -> Self {
        let room = Arc::new(room);
        let part = |_| {
            let room = Arc::clone(&room);
            Mutex::new(Store::new(
                keep.clone(),
                keeps_followed,
                room,
                crate::random_seed(),
            ))
        };
        Self {
            parts: (0..parts).map(part).collect(),
            hashing: RandomState::new(),
            room: Arc::clone(&room),
            started: std::time::Instant::now(),
        }
    }

    fn part_of(&self, topic: &Topic) -> usize {
        let hash = self.hashing.hash_one(topic);
        #[expect(clippy::cast_possible_truncation, reason = "it is less than a usize")]
        let part = (hash % self.parts.len() as u64) as usize;
        part
    }

    fn with<T>(&self, topic: &Topic, act: impl FnOnce(&mut Store, Instant) -> T) -> T {
        act(&mut lock(&self.parts[self.part_of(topic)]), self.now())
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + self.started.elapsed()
    }

    /// How many topics there are.
    pub(super) fn count(&self) -> usize {
        self.room.topics()
    }

    pub(super) fn publish(&self, request: &PublishRequest<Json>) -> Result<Position, PublishError> {
        self.with(&request.topic, |part, now| part.publish(now, request))
    }

    pub(super) fn read(&self, topic: &Topic, since: Option<Position>) -> Excerpt<Json> {
        self.with(topic, |part, now| part.read(now, topic, since))
    }

    pub(super) fn renew(&self, topic: &Topic, epoch: u64) {
        self.with(topic, |part, now| part.renew(now, topic, epoch));
    }

    pub(super) fn list(&self, pattern: &Pattern) -> Vec<Excerpt<Json>> {
        if let Some(topic) = pattern.exact() {
            return self.with(&topic, |part, now| part.list(now, pattern));
        }
        let now = self.now();
        let parts = self.parts.iter();
        parts
            .flat_map(|part| lock(part).list(now, pattern))
            .collect()
    }

    /// Each part finds as many as the page may hold: they are neighbours there, and their payloads are shared.
    pub(super) fn list_page(&self, page: &Page) -> Vec<Excerpt<Json>> {
        let now = self.now();
        let parts = self.parts.iter();
        let found = parts.flat_map(|part| lock(part).list_page(now, page));
        page.of(found.collect())
    }

    pub(super) fn follow(&self, pattern: &Pattern, follower: &Follower) -> Following {
        let exact = pattern.exact().map(|topic| self.part_of(&topic));
        let parts = exact.map_or(0..self.parts.len(), |part| part..part + 1);
        let first_part = parts.start;
        let follow = |part: &Mutex<Store>| lock(part).follow(pattern, follower.clone());
        let tickets = self.parts[parts].iter().map(follow).collect();
        Following {
            first_part,
            tickets,
        }
    }

    /// Stops following. Returns the feeds, so that they are dropped after the locks are released: what is dropped along
    /// with them is unknown here.
    pub(super) fn unfollow(&self, following: Following) -> Vec<Feed> {
        let parts = &self.parts[following.first_part..];
        let unfollow = |(part, ticket): (&Mutex<Store>, _)| lock(part).unfollow(ticket).feed;
        parts.iter().zip(following.tickets).map(unfollow).collect()
    }

    /// Forgets the topics that are past their retention.
    pub(super) fn sweep(&self) {
        let now = self.now();
        for part in &self.parts {
            lock(part).sweep(now);
        }
    }
}

/// Locks even after a panic of another holder, which leaves nothing inconsistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
