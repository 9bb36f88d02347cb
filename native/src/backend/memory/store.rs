//! What is kept of topics, and who follows them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tidegate_core::history::{Excerpt, History, HistoryLimits, Recovery};
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::IDEMPOTENCY_KEYS_MAX;
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, epoch_after, first_epoch, later_epoch};
use tidegate_core::random::Random;
use tidegate_core::router::{Router, Ticket};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::room::Room;
use crate::backend::{Feed, Keep};
use crate::hub::Publication;
use crate::json::Json;

/// The fewest topics for which looking for expired ones is worth it.
const SWEEP_TOPICS_MIN: usize = 1_024;

/// A part of the topics, and the feeds of their followers.
///
/// Whoever changes it holds its lock until all feeds have been told, so that everyone gets a topic's publications in order.
pub(super) struct Store {
    keep: Keep,
    /// What all parts together may hold.
    room: Arc<Room>,
    keeps_followed: bool,
    epochs: Random,
    topics: BTreeMap<Topic, Kept>,
    /// The number of topics at which expired ones are looked for: twice as many as the last search left, so that a topic's share of the
    /// cost is constant.
    sweep_at: usize,
    /// No topic expires before this time, or at it.
    none_expires_until: Instant,
    followers: Router<Follower>,
    /// Reused between publications.
    told: Vec<u64>,
}

/// A follower of topics.
#[derive(Clone)]
pub(super) struct Follower {
    /// The number of its backend among those that share the topics.
    pub(super) number: u64,
    pub(super) feed: Feed,
}

/// What is kept of a topic.
struct Kept {
    history: History<Json>,
    published_at: Instant,
    /// Idempotency keys, oldest first. They outlive an epoch, because what is repeated after a restart was published before it.
    keys: VecDeque<(String, Position)>,
}

impl Store {
    /// A part that shares its `room` with others. With `keeps_followed`, topics that are followed by name outlive their
    /// retention.
    pub(super) fn new(keep: Keep, keeps_followed: bool, room: Arc<Room>, seed: u64) -> Self {
        let mut seeds = Random::new(seed);
        Self {
            keep,
            keeps_followed,
            room,
            epochs: Random::new(seeds.next_u64()),
            topics: BTreeMap::new(),
            sweep_at: SWEEP_TOPICS_MIN,
            none_expires_until: Instant::ZERO,
            followers: Router::new(seeds.next_u64()),
            told: Vec::new(),
        }
    }

    /// Stores a publication and announces it. A repetition is recognised first, because it may be of the publication that ended the topic.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        request: &PublishRequest<Json>,
    ) -> Result<Position, PublishError> {
        self.forget_if_expired(now, &request.topic);
        if let Some(kept) = self.topics.get(&request.topic) {
            let repeated = request.id.as_deref().and_then(|id| kept.position_of(id));
            if let Some(position) = repeated {
                return Ok(position);
            }
            if let Some(reason) = kept.history.end()
                && !request.restart
            {
                return Err(PublishError::Ended(reason));
            }
        }
        self.make_room(now, request)?;
        let position = self.append(
            now,
            &request.topic,
            request.payload.clone(),
            request.end_reason(),
        );
        if let Some(id) = &request.id {
            let kept = self.topics.get_mut(&request.topic);
            kept.expect("appended to above").remember(id, position);
        }
        Ok(position)
    }

    /// Appends to a topic. A new topic starts in a random epoch, and a topic that has ended continues in the next one.
    fn append(
        &mut self,
        now: Instant,
        topic: &Topic,
        payload: Json,
        end: Option<EndReason>,
    ) -> Position {
        let epochs = &mut self.epochs;
        let kept = self.topics.entry(topic.clone()).or_insert_with(|| Kept {
            history: History::new(first_epoch(epochs)),
            published_at: now,
            keys: VecDeque::new(),
        });
        let bytes_before = kept.history.bytes();
        if kept.history.end().is_some() {
            kept.history = History::new(epoch_after(kept.history.position().epoch));
        }
        kept.published_at = now;
        let limits = self.keep.history_of(topic);
        let publication = kept.history.append(now, topic, payload, end, &limits);
        let bytes = kept.history.bytes();
        if !self.room.change_bytes(bytes_before, bytes) {
            let latest_only = HistoryLimits {
                count_max: 1,
                ..limits
            };
            kept.history.trim(now, &latest_only);
            self.room.change_bytes(bytes, kept.history.bytes());
        }
        self.announce(&publication);
        publication.position
    }

    /// Makes sure that a publication can be kept, if need be by dropping everything else that its topic keeps.
    fn make_room(
        &mut self,
        now: Instant,
        request: &PublishRequest<Json>,
    ) -> Result<(), PublishError> {
        let own = self.topics.get(&request.topic);
        let (is_new, own) = (own.is_none(), own.map_or(0, |kept| kept.history.bytes()));
        if is_new && (self.topics.len() >= self.sweep_at || !self.room.has_topics()) {
            self.sweep(now);
            self.sweep_at = SWEEP_TOPICS_MIN.max(2 * self.topics.len());
        }
        if !self.room.has_bytes(own, request.payload.size()) {
            let bytes_max = self.room.bytes_max();
            return Err(PublishError::Full { bytes_max });
        }
        if is_new && !self.room.take_topic() {
            let topics_max = self.room.topics_max();
            return Err(PublishError::TooManyTopics { topics_max });
        }
        Ok(())
    }

    /// Passes the publication to each follower of the topic, once.
    fn announce(&mut self, publication: &Publication) {
        self.told.clear();
        let (told, mut is_first) = (&mut self.told, true);
        self.followers.for_each_match(&publication.topic, |route| {
            for Follower { number, feed } in self.followers.subscribers(route) {
                // Within one route, each follower occurs once, because nobody follows a pattern twice.
                if is_first || !told.contains(number) {
                    told.push(*number);
                    feed.publication(Arc::clone(publication));
                }
            }
            is_first = false;
        });
    }

    pub(super) fn follow(&mut self, pattern: &Pattern, follower: Follower) -> Ticket {
        self.followers.subscribe(pattern, follower)
    }

    pub(super) fn unfollow(&mut self, ticket: Ticket) -> Follower {
        self.followers.unsubscribe(ticket)
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        topic: &Topic,
        since: Option<Position>,
    ) -> Excerpt<Json> {
        self.forget_if_expired(now, topic);
        let Some(kept) = self.topics.get_mut(topic) else {
            return Excerpt {
                topic: topic.clone(),
                position: Position::default(),
                publications: Vec::new(),
            };
        };
        let bytes_before = kept.history.bytes();
        kept.history.trim(now, &self.keep.history_of(topic));
        self.room.change_bytes(bytes_before, kept.history.bytes());
        let Some(since) = since else {
            return latest_of(topic, kept);
        };
        if since == Position::default() {
            return Excerpt {
                topic: topic.clone(),
                position: kept.history.position(),
                publications: kept.history.kept().cloned().collect(),
            };
        }
        match kept.history.since(since) {
            Recovery::Whole(publications) => Excerpt {
                topic: topic.clone(),
                position: kept.history.position(),
                publications,
            },
            Recovery::Lost(_) => latest_of(topic, kept),
        }
    }

    pub(super) fn list(&self, now: Instant, pattern: &Pattern) -> Vec<Excerpt<Json>> {
        self.listed(now, pattern, None).collect()
    }

    /// At least what of a page lies here.
    pub(super) fn list_page(&self, now: Instant, page: &Page) -> Vec<Excerpt<Json>> {
        let listed = self.listed(now, &page.pattern, page.after.as_ref());
        listed.take(page.count_max.max(1)).collect()
    }

    /// The latest publications that match a pattern, after a topic.
    fn listed<'a>(
        &'a self,
        now: Instant,
        pattern: &'a Pattern,
        after: Option<&Topic>,
    ) -> impl Iterator<Item = Excerpt<Json>> + use<'a> {
        let prefix = pattern.literal_prefix();
        let first = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        self.topics
            .range::<str, _>((first, Bound::Unbounded))
            .take_while(move |(topic, _)| topic.as_str().starts_with(prefix))
            .filter(move |(topic, kept)| {
                pattern.matches(topic) && !self.is_expired(now, topic, kept)
            })
            .map(|(topic, kept)| latest_of(topic, kept))
    }

    /// Keeps a topic's latest publication as the first of a new epoch.
    pub(super) fn renew(&mut self, now: Instant, topic: &Topic, epoch: u64) {
        self.forget_if_expired(now, topic);
        let Some(kept) = self.topics.get_mut(topic) else {
            return;
        };
        if kept.history.position().epoch != epoch {
            return;
        }
        let latest = kept.history.latest().cloned();
        self.room.change_bytes(kept.history.bytes(), 0);
        kept.history = History::new(later_epoch(&mut self.epochs));
        if let Some(latest) = latest {
            self.append(now, topic, latest.payload.clone(), latest.end);
        }
    }

    /// Whether a topic is past its retention. A topic that is followed by its name may be kept.
    fn is_expired(&self, now: Instant, topic: &Topic, kept: &Kept) -> bool {
        now - kept.published_at > self.keep.retention_of(topic)
            && !(self.keeps_followed && self.is_followed(topic))
    }

    fn is_followed(&self, topic: &Topic) -> bool {
        let exact = Pattern::from(topic.clone());
        self.followers.find(&exact).is_some()
    }

    fn forget_if_expired(&mut self, now: Instant, topic: &Topic) {
        let kept = self.topics.get(topic);
        if kept.is_some_and(|kept| self.is_expired(now, topic, kept)) {
            self.forget(topic);
        }
    }

    fn forget(&mut self, topic: &Topic) {
        if let Some(kept) = self.topics.remove(topic) {
            self.room.give_back(kept.history.bytes());
        }
    }

    /// Forgets the topics that are past their retention.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now <= self.none_expires_until {
            return;
        }
        let topics = self.topics.iter();
        let expired: Vec<Topic> = topics
            .filter(|(topic, kept)| self.is_expired(now, topic, kept))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in expired {
            self.forget(&topic);
        }
        let published_at = self.topics.values().map(|kept| kept.published_at);
        let oldest = published_at.min().unwrap_or(now);
        self.none_expires_until = (oldest + self.keep.retention).max(now);
    }
}

impl Kept {
    fn position_of(&self, id: &str) -> Option<Position> {
        let found = self.keys.iter().find(|(known, _)| known == id);
        found.map(|(_, position)| *position)
    }

    fn remember(&mut self, id: &str, position: Position) {
        if self.keys.len() == IDEMPOTENCY_KEYS_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back((id.to_owned(), position));
    }
}

fn latest_of(topic: &Topic, kept: &Kept) -> Excerpt<Json> {
    Excerpt {
        topic: topic.clone(),
        position: kept.history.position(),
        publications: kept.history.latest().cloned().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
