//! The topics that a hub owns: their histories, their idempotency keys, and when they are forgotten.

use core::time::Duration;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use slab::Slab;

use super::HubConfig;
use crate::history::{History, HistoryLimits, HistoryRules};
use crate::lifecycle::EndReason;
use crate::limits::{IDEMPOTENCY_KEYS_MAX, PACE_MIN};
use crate::names::Names;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::publication::{Position, Publication, epoch_after, first_epoch};
use crate::random::Random;
use crate::router::RouteId;
use crate::time::Instant;
use crate::timer::Timers;
use crate::topic::{Pattern, Topic};

/// The hub has reached its limit on topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicsFull;

#[derive(Debug)]
pub(crate) struct Topics<P> {
    slab: Slab<TopicState<P>>,
    by_name: Names,
    /// The topics with a publication, sorted, so that a pattern's literal prefix selects a range.
    published: OrderedMap<Topic, u32>,
    /// When to check whether a topic may be forgotten; touching a topic doesn't move its timer.
    expiry: Timers,
    epochs: Random,
    /// The epoch of new topics. It changes when a topic with publications is forgotten. Until then, a topic without any
    /// can be forgotten and added again, and positions before its first publication stay valid.
    first_epoch: u64,
    /// The most topics that have publications.
    topics_max: usize,
    retention: Duration,
    histories: HistoryRules,
    /// Payload bytes in all histories.
    retained_bytes: usize,
    retained_bytes_max: usize,
}

#[derive(Debug)]
pub(crate) struct TopicState<P> {
    pub(crate) topic: Topic,
    /// The route of the subscriptions to the topic by name, if the hub owns it, so that a publish needn't look up the
    /// name again.
    pub(crate) route: Option<RouteId>,
    pub(crate) history: History<P>,
    pub(crate) touched: Instant,
    #[expect(
        clippy::box_collection,
        reason = "most topics are not published to with keys"
    )]
    keys: Option<Box<VecDeque<(String, Position)>>>,
}

impl<P: Payload> Topics<P> {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let mut seeds = Random::new(config.seed);
        let by_name = Names::new(FixedState::with_seed(seeds.next_u64()));
        let mut epochs = Random::new(seeds.next_u64());
        Self {
            slab: Slab::new(),
            by_name,
            published: OrderedMap::new(),
            expiry: Timers::new(),
            first_epoch: first_epoch(&mut epochs),
            epochs,
            topics_max: config.topics_max,
            // At least the minimum, so that a topic that is still wanted is never checked again at the same instant.
            retention: config.retention.max(PACE_MIN),
            histories: config.histories.clone(),
            retained_bytes: 0,
            retained_bytes_max: config.retained_bytes_max,
        }
    }

    /// Makes new topics copies of topics elsewhere, whose epochs are assigned there.
    pub(crate) fn become_copies(&mut self) {
        self.first_epoch = NOT_BEGUN;
    }

    pub(crate) fn find(&self, topic: &Topic) -> Option<u32> {
        let is_named = |index| self.slab[index as usize].topic == *topic;
        self.by_name.find(topic.as_str(), is_named)
    }

    /// Finds or adds the topic of a publication.
    pub(crate) fn find_or_add(&mut self, now: Instant, topic: &Topic) -> Result<u32, TopicsFull> {
        let known = self.find(topic);
        let has_begun = known.is_some_and(|index| !self.get(index).history.is_empty());
        if !has_begun && self.is_full() {
            return Err(TopicsFull);
        }
        Ok(known.unwrap_or_else(|| self.add(now, topic)))
    }

    /// Finds or adds a topic for a subscription to wait for, the last of `subscriptions`. Each subscription may add one
    /// topic beyond the limit; otherwise clients that may only subscribe could keep others from publishing.
    pub(crate) fn find_or_await(
        &mut self,
        now: Instant,
        topic: &Topic,
        subscriptions: usize,
    ) -> Result<u32, TopicsFull> {
        if let Some(index) = self.find(topic) {
            return Ok(index);
        }
        if self.slab.len() >= self.topics_max.saturating_add(subscriptions) {
            return Err(TopicsFull);
        }
        Ok(self.add(now, topic))
    }

    /// Returns whether no further topic can have publications.
    pub(crate) fn is_full(&self) -> bool {
        self.published.len() >= self.topics_max
    }

    fn add(&mut self, now: Instant, topic: &Topic) -> u32 {
        let index = self.slab.insert(TopicState {
            topic: topic.clone(),
            route: None,
            history: History::new(self.first_epoch),
            touched: now,
            keys: None,
        });
        #[expect(
            clippy::cast_possible_truncation,
            reason = "topics_max is far below 2^32"
        )]
        let index = index as u32;
        self.by_name.insert(topic.as_str(), index);
        self.expiry.arm(index, now + self.retention);
        index
    }

    /// Restarts an ended topic: an empty history in the next epoch. Idempotency keys stay, because a repeated publish
    /// of the terminal publication must not end the topic a second time.
    pub(crate) fn restart(&mut self, index: u32) {
        let state = &mut self.slab[index as usize];
        let epoch = epoch_after(state.history.position().epoch);
        self.retained_bytes -= state.history.bytes();
        state.history = History::new(epoch);
    }

    /// Up to `most` of the topics, with their indexes.
    pub(crate) fn some(&self, most: usize) -> impl Iterator<Item = (u32, &TopicState<P>)> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "topics_max is far below 2^32"
        )]
        let numbered = |(index, state)| (index as u32, state);
        self.slab.iter().take(most).map(numbered)
    }

    pub(crate) fn get(&self, index: u32) -> &TopicState<P> {
        &self.slab[index as usize]
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut TopicState<P> {
        &mut self.slab[index as usize]
    }

    /// Returns whether a payload of `bytes` can be retained, if need be by dropping everything else that its topic
    /// retains.
    pub(crate) fn has_room(&self, index: u32, bytes: usize) -> bool {
        let elsewhere = self.retained_bytes - self.slab[index as usize].history.bytes();
        elsewhere + bytes <= self.retained_bytes_max
    }

    /// Appends to a topic's history.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        index: u32,
        payload: P,
        end: Option<EndReason>,
        limits: &HistoryLimits,
    ) -> Arc<Publication<P>> {
        self.change(now, index, limits, |topic, history| {
            history.append(now, topic, payload, end, limits)
        })
    }

    /// Makes `offset` the offset of the topic's next publication. Those before it that were not kept are lost.
    pub(super) fn skip_to(&mut self, index: u32, offset: u64) {
        let history = &mut self.slab[index as usize].history;
        self.retained_bytes -= history.bytes();
        history.skip_to(offset);
        self.retained_bytes += history.bytes();
    }

    /// Changes a topic's history. While all histories together are at their limit, it keeps only its latest
    /// publication.
    pub(super) fn change<T>(
        &mut self,
        now: Instant,
        index: u32,
        limits: &HistoryLimits,
        change: impl FnOnce(&Topic, &mut History<P>) -> T,
    ) -> T {
        let state = &mut self.slab[index as usize];
        state.touched = now;
        let elsewhere = self.retained_bytes - state.history.bytes();
        let result = change(&state.topic, &mut state.history);
        if elsewhere + state.history.bytes() > self.retained_bytes_max {
            let latest_only = HistoryLimits {
                count_max: 1,
                ..*limits
            };
            state.history.trim(now, &latest_only);
        }
        self.retained_bytes = elsewhere + state.history.bytes();
        result
    }

    /// Drops publications that are too old to be recovered.
    pub(crate) fn trim(&mut self, now: Instant, index: u32, limits: &HistoryLimits) {
        let history = &mut self.slab[index as usize].history;
        let before = history.bytes();
        history.trim(now, limits);
        self.retained_bytes -= before - history.bytes();
    }

    /// Records that a topic has a publication, so that patterns find it.
    pub(crate) fn mark_published(&mut self, index: u32) {
        if self
            .published
            .contains_key(&self.slab[index as usize].topic)
        {
            return;
        }
        let topic = self.slab[index as usize].topic.clone();
        self.published.insert(&topic, index);
    }

    /// The topics with a publication that `pattern` matches, in order.
    pub(crate) fn matching(&self, pattern: &Pattern) -> Vec<u32> {
        let prefix = pattern.literal_prefix();
        self.published
            .range(prefix)
            .take_while(|(topic, _)| topic.as_str().starts_with(prefix))
            .filter(|(topic, _)| pattern.matches(topic))
            .map(|(_, index)| *index)
            .collect()
    }

    /// Forgets a topic.
    pub(crate) fn remove(&mut self, index: u32) {
        let state = self.slab.remove(index as usize);
        self.retained_bytes -= state.history.bytes();
        if !state.history.is_empty() && self.first_epoch != NOT_BEGUN {
            self.first_epoch = first_epoch(&mut self.epochs);
        }
        self.by_name.remove(state.topic.as_str(), index);
        self.published.remove(&state.topic);
        self.expiry.disarm(index);
    }

    /// The next topic that nothing has touched for the retention time, and for which `is_wanted` returns false.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        is_wanted: impl Fn(&Topic) -> bool,
    ) -> Option<u32> {
        while let Some(index) = self.expiry.expire(now) {
            let state = &self.slab[index as usize];
            let retention = self.histories.retention_of(&state.topic, self.retention);
            let until = state.touched + retention;
            if until > now {
                self.expiry.arm(index, until);
            } else if is_wanted(&state.topic) {
                self.expiry.arm(index, now + self.retention);
            } else {
                return Some(index);
            }
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.expiry.poll_timeout()
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
}

/// The epoch of a copy whose original has no publications. No topic is ever in it.
const NOT_BEGUN: u64 = 0;

impl<P> TopicState<P> {
    /// The position of the publication with an idempotency key, if it is remembered.
    pub(crate) fn position_of_key(&self, id: &str) -> Option<Position> {
        let mut keys = self.keys.iter().flat_map(|keys| keys.iter().rev());
        let found = keys.find(|(known, _)| known == id);
        found.map(|(_, position)| *position)
    }

    pub(crate) fn remember_key(&mut self, id: String, position: Position) {
        let keys = self.keys.get_or_insert_default();
        if keys.len() == IDEMPOTENCY_KEYS_MAX {
            keys.pop_front();
        }
        keys.push_back((id, position));
    }
}

#[cfg(test)]
mod tests;
