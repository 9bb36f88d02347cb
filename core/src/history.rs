//! The history of a topic: its epoch, its top offset, its latest publication, and a bounded ring of earlier ones.

use core::time::Duration;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::lifecycle::EndReason;
use crate::payload::Payload;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// How much of a topic is kept for subscribers that resume.
///
/// The latest publication is always kept, whatever its size and for as long as the topic exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// The most publications of a topic.
    pub count_max: usize,
    /// The most payload bytes of a topic.
    pub bytes_max: usize,
    /// The longest that a publication other than the latest is kept.
    pub age_max: Duration,
}

impl Default for HistoryLimits {
    /// 256 publications, 1 MiB, 10 minutes.
    fn default() -> Self {
        Self {
            count_max: 256,
            bytes_max: 1024 * 1024,
            age_max: Duration::from_secs(600),
        }
    }
}

/// Exceptions from the limits for some topics. The first pattern that matches a topic counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryRules(Vec<(Pattern, HistoryLimits)>);

impl HistoryRules {
    /// No rules: all topics keep the same.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds a rule for the topics that match `pattern` and no earlier rule.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, limits: HistoryLimits) -> Self {
        self.0.push((pattern, limits));
        self
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Pattern, &HistoryLimits)> {
        self.0.iter().map(|(pattern, limits)| (pattern, limits))
    }

    /// The limits of a topic, if those without a rule have `limits`.
    pub fn limits_of(&self, topic: &Topic, limits: &HistoryLimits) -> HistoryLimits {
        let mut rules = self.0.iter();
        let rule = rules.find(|(pattern, _)| pattern.matches(topic));
        rule.map_or(*limits, |(_, limits)| *limits)
    }

    /// How long a topic is remembered, if those without a rule are for `retention`: at least as long as it keeps
    /// anything.
    pub fn retention_of(&self, topic: &Topic, retention: Duration) -> Duration {
        let mut rules = self.0.iter();
        let rule = rules.find(|(pattern, _)| pattern.matches(topic));
        rule.map_or(retention, |(_, limits)| retention.max(limits.age_max))
    }

    /// The widest limits of any topic, if those without a rule have `limits`.
    pub fn widest(&self, limits: &HistoryLimits) -> HistoryLimits {
        let all = self.0.iter().map(|(_, limits)| limits);
        all.fold(*limits, |widest, limits| HistoryLimits {
            count_max: widest.count_max.max(limits.count_max),
            bytes_max: widest.bytes_max.max(limits.bytes_max),
            age_max: widest.age_max.max(limits.age_max),
        })
    }

    /// The shortest time that any topic keeps publications, if those without a rule keep them for `age_max`.
    pub fn shortest_age(&self, age_max: Duration) -> Duration {
        let all = self.0.iter().map(|(_, limits)| limits.age_max);
        all.fold(age_max, Duration::min)
    }

    /// The longest time that any topic is remembered, if those without a rule are for `retention`.
    pub fn longest_retention(&self, retention: Duration) -> Duration {
        let all = self.0.iter().map(|(_, limits)| limits.age_max);
        all.fold(retention, Duration::max)
    }
}

/// What a subscriber missed since its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery<P> {
    /// Exactly the publications that were missed, in order; empty if there were none.
    Whole(Vec<Arc<Publication<P>>>),
    /// They are no longer known, because the epoch has changed or they were trimmed. Instead, the latest publication.
    Lost(Option<Arc<Publication<P>>>),
}

/// A part of a topic's history, as its owner sends it to those that follow the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt<P> {
    /// The topic.
    pub topic: Topic,
    /// Its position; offset 0 of epoch 0 if nothing was published or nothing is remembered.
    pub position: Position,
    /// Publications without a gap, in order, the last one at `position`.
    pub publications: Vec<Arc<Publication<P>>>,
}

impl<P> Excerpt<P> {
    /// Returns whether it contains everything published after `since`. It can't if the topic has restarted or keeps
    /// less.
    pub fn is_whole_since(&self, since: Position) -> bool {
        let Position { epoch, offset } = self.position;
        if since.epoch != epoch || since.offset > offset {
            return false;
        }
        let first = self.publications.first();
        let first = first.map_or(offset + 1, |first| first.position.offset);
        first <= since.offset + 1
    }
}

/// One topic's history in one epoch.
#[derive(Debug)]
pub struct History<P> {
    epoch: u64,
    top: u64,
    ring: VecDeque<Kept<P>>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept<P> {
    at: Instant,
    publication: Arc<Publication<P>>,
}

impl<P: Payload> History<P> {
    /// An empty history, at offset 0 of `epoch`.
    pub const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            top: 0,
            ring: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Appends a publication with the next offset, and trims to `limits`.
    pub fn append(
        &mut self,
        now: Instant,
        topic: &Topic,
        payload: P,
        end: Option<EndReason>,
        limits: &HistoryLimits,
    ) -> Arc<Publication<P>> {
        self.top += 1;
        let publication = Arc::new(Publication {
            topic: topic.clone(),
            position: self.position(),
            payload,
            end,
        });
        self.keep(now, Arc::clone(&publication), limits);
        publication
    }

    /// Makes `offset`, which must be above the top, the offset of the next publication. What lies in between is lost.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        if offset > self.top + 1 {
            self.ring.clear();
            self.bytes = 0;
            self.top = offset - 1;
        }
    }

    /// Appends a publication whose position was assigned elsewhere: the one after the top.
    pub(crate) fn append_next(
        &mut self,
        now: Instant,
        publication: Arc<Publication<P>>,
        limits: &HistoryLimits,
    ) {
        self.epoch = publication.position.epoch;
        self.top = publication.position.offset;
        self.keep(now, publication, limits);
    }

    /// Inserts earlier publications (oldest first) before those that are kept, as far as they join without a gap.
    pub(crate) fn prepend(&mut self, now: Instant, older: &[Arc<Publication<P>>]) {
        for publication in older.iter().rev() {
            let Some(first) = self.ring.front() else {
                return;
            };
            let position = publication.position;
            let joins = position.epoch == self.epoch
                && position.offset + 1 == first.publication.position.offset;
            if joins {
                self.bytes += publication.payload.size();
                self.ring.push_front(Kept {
                    at: now,
                    publication: Arc::clone(publication),
                });
            }
        }
    }

    fn keep(&mut self, now: Instant, publication: Arc<Publication<P>>, limits: &HistoryLimits) {
        self.bytes += publication.payload.size();
        self.ring.push_back(Kept {
            at: now,
            publication,
        });
        self.trim(now, limits);
    }

    /// Drops publications that exceed `limits` at `now`, oldest first. The latest is kept.
    pub fn trim(&mut self, now: Instant, limits: &HistoryLimits) {
        while self.ring.len() > 1 {
            let too_many = self.ring.len() > limits.count_max || self.bytes > limits.bytes_max;
            let too_old = now - self.ring[0].at > limits.age_max;
            if !too_many && !too_old {
                return;
            }
            if let Some(dropped) = self.ring.pop_front() {
                self.bytes -= dropped.publication.payload.size();
            }
        }
    }

    /// What a subscriber missed that has everything up to `position`.
    pub fn since(&self, position: Position) -> Recovery<P> {
        let lost = || Recovery::Lost(self.latest().cloned());
        if position.epoch != self.epoch || position.offset > self.top {
            return lost();
        }
        let missed = usize::try_from(self.top - position.offset).unwrap_or(usize::MAX);
        if missed > self.ring.len() {
            return lost();
        }
        let first = self.ring.len() - missed;
        Recovery::Whole(
            self.ring
                .range(first..)
                .map(|kept| Arc::clone(&kept.publication))
                .collect(),
        )
    }

    /// The retained latest publication.
    pub fn latest(&self) -> Option<&Arc<Publication<P>>> {
        self.ring.back().map(|kept| &kept.publication)
    }

    /// Everything that is kept, in order.
    pub fn kept(&self) -> impl Iterator<Item = &Arc<Publication<P>>> {
        self.ring.iter().map(|kept| &kept.publication)
    }

    /// Why the topic ended, if it did.
    pub fn end(&self) -> Option<EndReason> {
        self.latest().and_then(|latest| latest.end)
    }

    /// The position of the latest publication; offset 0 if nothing was published.
    pub const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.top,
        }
    }

    /// How many payload bytes are kept.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many publications are kept.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Returns whether nothing was published in this epoch.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests;
