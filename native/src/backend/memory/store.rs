//! What is kept of topics, and who hears of them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tidegate_core::history::{Excerpt, History, Recovery};
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::IDEMPOTENCY_KEYS_MAX;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{POSITION_MAX, Position};
use tidegate_core::random::Random;
use tidegate_core::router::{Router, Ticket};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use crate::backend::{Feed, Keep};
use crate::hub::Publication;
use crate::json::Json;

/// The fewest topics that are worth looking through for those that nobody needs any more.
const SWEEP_TOPICS_MIN: usize = 1_024;

/// Topics, and the feeds of those who follow them.
///
/// Whoever changes it holds it until all feeds have been told, so that everybody hears a topic in its order.
pub(super) struct Store {
    keep: Keep,
    epochs: Random,
    topics: BTreeMap<Topic, Kept>,
    /// With so many topics, those past their retention are looked for: twice as many as the last time left, so that a topic's
    /// share of the search is constant.
    sweep_at: usize,
    followers: Router<Feed>,
}

/// What is kept of a topic.
struct Kept {
    history: History<Json>,
    published_at: Instant,
    /// Idempotency keys, oldest first. They outlive an epoch: what is repeated after a restart was published before it.
    keys: VecDeque<(String, Position)>,
}

impl Store {
    pub(super) fn new(keep: Keep, seed: u64) -> Self {
        let mut seeds = Random::new(seed);
        Self {
            keep,
            epochs: Random::new(seeds.next_u64()),
            topics: BTreeMap::new(),
            sweep_at: SWEEP_TOPICS_MIN,
            followers: Router::new(seeds.next_u64()),
        }
    }

    /// Stores a publication and announces it. A repeated one is recognised first: it may be the one that ended the topic.
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
        let position = self.append(now, &request.topic, request.payload.clone(), request.end);
        if let Some(id) = &request.id {
            let kept = self.topics.get_mut(&request.topic);
            kept.expect("appended to above").remember(id, position);
        }
        Ok(position)
    }

    /// Appends to a topic: to a new one, or one that has ended, in a new epoch.
    fn append(
        &mut self,
        now: Instant,
        topic: &Topic,
        payload: Json,
        end: Option<EndReason>,
    ) -> Position {
        self.sweep(now);
        let epochs = &mut self.epochs;
        let kept = self.topics.entry(topic.clone()).or_insert_with(|| Kept {
            history: History::new(random_epoch(epochs)),
            published_at: now,
            keys: VecDeque::new(),
        });
        if kept.history.end().is_some() {
            kept.history = History::new(random_epoch(epochs));
        }
        kept.published_at = now;
        let limits = &self.keep.history;
        let publication = kept.history.append(now, topic, payload, end, limits);
        self.announce(&publication);
        publication.position
    }

    fn announce(&self, publication: &Publication) {
        self.followers.for_each_match(&publication.topic, |route| {
            for feed in self.followers.subscribers(route) {
                feed.publication(Arc::clone(publication));
            }
        });
    }

    pub(super) fn follow(&mut self, pattern: &Pattern, feed: Feed) -> Ticket {
        self.followers.subscribe(pattern, feed)
    }

    pub(super) fn unfollow(&mut self, ticket: Ticket) -> Feed {
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
        kept.history.trim(now, &self.keep.history);
        let Some(since) = since else {
            return latest_of(topic, kept);
        };
        let since = if since == Position::default() {
            kept.beginning()
        } else {
            since
        };
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
        let prefix = pattern.literal_prefix();
        self.topics
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(topic, _)| topic.as_str().starts_with(prefix))
            .filter(|(topic, kept)| pattern.matches(topic) && !self.is_expired(now, kept))
            .map(|(topic, kept)| latest_of(topic, kept))
            .collect()
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
        kept.history = History::new(random_epoch(&mut self.epochs));
        if let Some(latest) = latest {
            self.append(now, topic, latest.payload.clone(), latest.end);
        }
    }

    fn is_expired(&self, now: Instant, kept: &Kept) -> bool {
        now - kept.published_at > self.keep.retention
    }

    fn forget_if_expired(&mut self, now: Instant, topic: &Topic) {
        let kept = self.topics.get(topic);
        if kept.is_some_and(|kept| self.is_expired(now, kept)) {
            self.topics.remove(topic);
        }
    }

    /// Forgets the topics that are past their retention, when there are many.
    fn sweep(&mut self, now: Instant) {
        if self.topics.len() < self.sweep_at {
            return;
        }
        let retention = self.keep.retention;
        self.topics
            .retain(|_, kept| now - kept.published_at <= retention);
        self.sweep_at = SWEEP_TOPICS_MIN.max(2 * self.topics.len());
    }
}

impl Kept {
    fn beginning(&self) -> Position {
        Position {
            offset: 0,
            ..self.history.position()
        }
    }

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

const fn random_epoch(epochs: &mut Random) -> u64 {
    1 + epochs.up_to(POSITION_MAX - 1)
}

#[cfg(test)]
mod tests;
