//! The data of a backend, and how it is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tidegate_core::durable::{CursorLimits, Shelf};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::limits::IDEMPOTENCY_KEYS_MAX;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, Publication, epoch_after, first_epoch, later_epoch};
use tidegate_core::random::Random;
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Json;

/// Topics as a backend keeps them, and a record of everything that it ever stored.
#[derive(Debug)]
pub struct Store {
    /// How many publications of a topic are kept.
    pub count_max: usize,
    /// Whether there is no room for more.
    pub is_full: bool,
    /// Everything that was ever stored, in order. A publication that was carried over to a new epoch is not repeated.
    pub stored: Vec<Arc<Publication<Json>>>,
    /// The numbers of publications that were stored by calls after their link was lost: their servers may have been
    /// told anything.
    pub late: BTreeSet<u64>,
    /// Whether something that was stored has been lost.
    pub is_tainted: bool,
    /// Whether offsets may have been reused.
    pub has_lost_tails: bool,
    /// The cursors of durable subscriptions.
    pub cursors: Shelf,
    topics: BTreeMap<Topic, Kept>,
    epochs: Random,
}

#[derive(Debug)]
struct Kept {
    epoch: u64,
    top: u64,
    ring: VecDeque<Arc<Publication<Json>>>,
    keys: VecDeque<(String, Position)>,
}

/// The result of a request, and the publication to be announced, if any.
pub(super) type Outcome = (
    Result<Position, PublishError>,
    Option<Arc<Publication<Json>>>,
);

impl Store {
    /// An empty store.
    pub fn new(seed: u64) -> Self {
        Self {
            count_max: 256,
            is_full: false,
            stored: Vec::new(),
            late: BTreeSet::new(),
            is_tainted: false,
            has_lost_tails: false,
            cursors: Shelf::new(CursorLimits::default()),
            topics: BTreeMap::new(),
            epochs: Random::new(seed),
        }
    }

    /// Stores a publication, unless it was stored before or its topic has ended.
    pub fn publish(&mut self, request: &PublishRequest<Json>) -> Outcome {
        if let Some(kept) = self.topics.get(&request.topic) {
            let repeated = request.id.as_deref().and_then(|id| kept.position_of(id));
            if let Some(position) = repeated {
                return (Ok(position), None);
            }
            let end = kept.ring.back().and_then(|latest| latest.end);
            if let Some(reason) = end.filter(|_| !request.restart) {
                return (Err(PublishError::Ended(reason)), None);
            }
        }
        let publication = self.append(
            &request.topic,
            request.payload.clone(),
            request.end_reason(),
        );
        self.stored.push(Arc::clone(&publication));
        let kept = self.topics.get_mut(&request.topic).expect("appended to");
        if let Some(id) = &request.id {
            if kept.keys.len() == IDEMPOTENCY_KEYS_MAX {
                kept.keys.pop_front();
            }
            kept.keys.push_back((id.clone(), publication.position));
        }
        (Ok(publication.position), Some(publication))
    }

    /// Records a publication of a server that owns its topics.
    pub(super) fn witness(&mut self, publication: Arc<Publication<Json>>) {
        let Position { epoch, offset } = publication.position;
        let kept = self.topics.entry(publication.topic.clone());
        let kept = kept.or_insert_with(|| Kept::new(epoch));
        if kept.epoch != epoch {
            kept.begin(epoch);
        }
        kept.top = offset;
        // Nobody reads this history.
        kept.ring.clear();
        kept.ring.push_back(Arc::clone(&publication));
        self.stored.push(publication);
    }

    fn append(
        &mut self,
        topic: &Topic,
        payload: Json,
        end: Option<tidegate_core::lifecycle::EndReason>,
    ) -> Arc<Publication<Json>> {
        let epoch = first_epoch(&mut self.epochs);
        let kept = self.topics.entry(topic.clone()).or_insert(Kept::new(epoch));
        if kept.ring.back().is_some_and(|latest| latest.is_terminal()) {
            kept.begin(epoch_after(kept.epoch));
        }
        kept.top += 1;
        let publication = Arc::new(Publication {
            topic: topic.clone(),
            position: kept.position(),
            payload,
            end,
        });
        kept.ring.push_back(Arc::clone(&publication));
        while kept.ring.len() > self.count_max {
            kept.ring.pop_front();
        }
        publication
    }

    /// What a topic keeps after a position; only its latest publication, if the gap can't be bridged.
    pub fn read(&self, topic: &Topic, since: Option<Position>) -> Excerpt<Json> {
        let Some(kept) = self.topics.get(topic) else {
            return Excerpt {
                topic: topic.clone(),
                position: Position::default(),
                publications: Vec::new(),
            };
        };
        let offset = match since {
            Some(since) if since == Position::default() => Some(0),
            Some(since) if since.epoch == kept.epoch && since.offset <= kept.top => {
                Some(since.offset)
            }
            Some(_) | None => None,
        };
        let oldest = kept.ring.front().map_or(0, |first| first.position.offset);
        let wants_all = since == Some(Position::default());
        let offset = offset.map(|offset| {
            if wants_all {
                oldest.saturating_sub(1)
            } else {
                offset
            }
        });
        let after = offset.filter(|offset| offset + 1 >= oldest);
        let after = after.unwrap_or(kept.top.saturating_sub(1));
        let publications = kept.ring.iter();
        Excerpt {
            topic: topic.clone(),
            position: kept.position(),
            publications: publications
                .filter(|publication| publication.position.offset > after)
                .cloned()
                .collect(),
        }
    }

    /// The latest publication of every topic that a pattern matches.
    pub fn list(&self, pattern: &Pattern) -> Vec<Excerpt<Json>> {
        let matching = self.topics.keys().filter(|topic| pattern.matches(topic));
        matching.map(|topic| self.read(topic, None)).collect()
    }

    /// Starts a new epoch of a topic with its latest publication, which is returned to be announced.
    pub fn renew(&mut self, topic: &Topic, epoch: u64) -> Option<Arc<Publication<Json>>> {
        let new_epoch = later_epoch(&mut self.epochs);
        let kept = self.topics.get_mut(topic)?;
        if kept.epoch != epoch {
            return None;
        }
        let latest = kept.ring.back().cloned();
        kept.begin(new_epoch);
        let latest = latest?;
        Some(self.append(topic, latest.payload.clone(), latest.end))
    }

    /// Loses everything.
    pub fn wipe(&mut self) {
        self.is_tainted = true;
        self.topics.clear();
    }

    /// Loses the last publications of a topic, as a failover does: its epoch goes on, and offsets are reused.
    pub fn lose_tail(&mut self, topic: &Topic, count: usize) {
        self.is_tainted = true;
        self.has_lost_tails = true;
        let Some(kept) = self.topics.get_mut(topic) else {
            return;
        };
        kept.ring.truncate(kept.ring.len().saturating_sub(count));
        let Some(latest) = kept.ring.back() else {
            self.topics.remove(topic);
            return;
        };
        kept.top = latest.position.offset;
        let (epoch, top) = (kept.epoch, kept.top);
        kept.keys
            .retain(|(_, position)| position.epoch != epoch || position.offset <= top);
    }

    /// Checks two publications that a subscriber got in succession, in one epoch and without a reset: the earlier one
    /// must not have been lost and replaced before the later one was stored.
    ///
    /// # Panics
    /// If something did.
    pub(crate) fn check_succession(&self, before: &Publication<Json>, after: &Publication<Json>) {
        if !self.has_lost_tails || before.position.epoch != after.position.epoch {
            return;
        }
        let of_topic: Vec<&Arc<Publication<Json>>> = self
            .stored
            .iter()
            .filter(|stored| {
                stored.topic == before.topic && stored.position.epoch == before.position.epoch
            })
            .collect();
        let is = |stored: &&Arc<Publication<Json>>, told: &Publication<Json>| {
            stored.position == told.position && stored.payload == told.payload
        };
        // Sums, and publications that were carried over to a new epoch, are not stored in the form in which they were
        // delivered.
        let Some(last) = of_topic.iter().position(|stored| is(stored, after)) else {
            return;
        };
        let Some(first) = of_topic[..last]
            .iter()
            .rposition(|stored| is(stored, before))
        else {
            return;
        };
        let instead = of_topic[first + 1..last]
            .iter()
            .find(|stored| stored.position.offset <= before.position.offset);
        assert_eq!(
            instead, None,
            "{after:?} was told after {before:?}, which the backend had lost"
        );
    }

    /// The latest publication of a topic.
    pub fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<Json>>> {
        self.topics.get(topic)?.ring.back()
    }

    /// The topics that have a publication.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.keys()
    }
}

impl Kept {
    const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            top: 0,
            ring: VecDeque::new(),
            keys: VecDeque::new(),
        }
    }

    const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.top,
        }
    }

    fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.top = 0;
        self.ring.clear();
    }

    fn position_of(&self, id: &str) -> Option<Position> {
        let found = self.keys.iter().find(|(known, _)| known == id);
        found.map(|(_, position)| *position)
    }
}
