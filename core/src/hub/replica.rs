//! The hub as a copy of topics that live elsewhere: publications arrive with their positions.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Hub;
use crate::history::{Excerpt, History, Recovery};
use crate::payload::Payload;
use crate::publication::{Position, Publication, epoch_after};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// The state of the copy of a topic, as an excerpt of the original shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyState {
    /// The copy is now as the original was when the excerpt was taken.
    Settled,
    /// The original lacks what the copy has: a part of this epoch was lost.
    TailLost {
        /// The epoch concerned.
        epoch: u64,
    },
}

impl<P: Payload> Hub<P> {
    /// The position of the copy of a topic; `None` if there is no copy.
    pub(super) fn position(&self, topic: &Topic) -> Option<Position> {
        let index = self.topics.find(topic)?;
        Some(self.topics.get(index).history.position())
    }

    /// The position of a topic, which is remembered from now on; the default position if it has no publications.
    pub(super) fn place_of(&mut self, now: Instant, topic: &Topic) -> Position {
        // If there is no room, subscriptions to the topic are refused.
        let index = self
            .topics
            .find_or_await(now, topic, self.subscribers.len());
        index.map_or_else(
            |_| Position::default(),
            |index| self.topics.get(index).history.position(),
        )
    }

    /// Returns whether the copy of a topic has ended.
    pub(super) fn is_over(&self, topic: &Topic) -> bool {
        let latest = self.latest(topic);
        latest.is_some_and(|latest| latest.is_terminal())
    }

    /// Returns whether a subscription matches the topic.
    pub(super) fn is_subscribed(&self, topic: &Topic) -> bool {
        let mut is_any = false;
        self.router.for_each_match(topic, |_| is_any = true);
        is_any
    }

    /// Returns whether a subscription with exactly this pattern exists.
    pub(super) fn has_route(&self, pattern: &Pattern) -> bool {
        self.router.find(pattern).is_some()
    }

    /// The next pattern that has lost its last subscription.
    pub(super) fn poll_released(&mut self) -> Option<Pattern> {
        self.released.pop()
    }

    /// The topics with a copy that match a pattern.
    pub(super) fn topics_of(&self, pattern: &Pattern) -> Vec<Topic> {
        if let Some(topic) = pattern.exact() {
            return self
                .topics
                .find(&topic)
                .map(|_| topic)
                .into_iter()
                .collect();
        }
        let matching = self.topics.matching(pattern).into_iter();
        matching
            .map(|index| self.topics.get(index).topic.clone())
            .collect()
    }

    /// Returns whether the copy has everything after `since`.
    pub(super) fn covers(&self, topic: &Topic, since: Position) -> bool {
        let index = self.topics.find(topic);
        index.is_some_and(|index| matches!(self.recovery(index, since), Recovery::Whole(_)))
    }

    /// What a subscriber that has everything up to `since` missed. The default position means that it has seen nothing
    /// of the topic, whatever the current epoch is.
    pub(super) fn recovery(&self, index: u32, since: Position) -> Recovery<P> {
        let history = &self.topics.get(index).history;
        if self.is_copy && since == Position::default() {
            return history.since(Position {
                offset: 0,
                ..history.position()
            });
        }
        history.since(since)
    }

    /// Returns whether the publication continues its topic: it is the next of the epoch, the first ever, or the first
    /// of the epoch after an end. The first of any other epoch follows something that was missed.
    pub(super) fn continues(&self, publication: &Publication<P>) -> bool {
        let next = publication.position;
        let Some(index) = self.topics.find(&publication.topic) else {
            return next.offset == 1;
        };
        let history = &self.topics.get(index).history;
        let known = history.position();
        if history.end().is_some() {
            // Nothing follows an end within its epoch, unless the original has lost the end.
            return next.epoch == epoch_after(known.epoch) && next.offset == 1;
        }
        let is_next = known.epoch == next.epoch && known.offset + 1 == next.offset;
        is_next || (history.is_empty() && known.epoch != next.epoch && next.offset == 1)
    }

    /// Copies the next publication of a topic and hands it to all subscribers.
    pub(super) fn handle_continuation(&mut self, now: Instant, publication: &Arc<Publication<P>>) {
        self.copy(now, publication);
        self.route(now, publication);
    }

    /// Keeps a publication if there is room; otherwise it is read again when it is needed.
    fn copy(&mut self, now: Instant, publication: &Arc<Publication<P>>) {
        let Ok(index) = self.topics.find_or_add(now, &publication.topic) else {
            return;
        };
        let limits = self.config.history_of(&publication.topic);
        self.topics
            .append_next(now, index, Arc::clone(publication), &limits);
    }

    /// Brings a copy up to date with an excerpt of the original, and hands what is new to all subscribers.
    pub(super) fn handle_excerpt(&mut self, now: Instant, excerpt: &Excerpt<P>) -> CopyState {
        let Some(known) = self.position(&excerpt.topic) else {
            self.adopt(now, excerpt);
            return CopyState::Settled;
        };
        let is_same_epoch = excerpt.position.epoch == known.epoch;
        let is_behind = excerpt.position.offset < known.offset;
        // Nothing follows an end within its epoch. What the original has in place of the end may be too old to be in
        // the excerpt.
        let has_no_end = excerpt.position.offset > known.offset && self.is_over(&excerpt.topic);
        if is_same_epoch && (is_behind || has_no_end || !self.agrees(&excerpt.publications)) {
            return CopyState::TailLost { epoch: known.epoch };
        }
        let is_new =
            |new: &&Arc<Publication<P>>| !is_same_epoch || new.position.offset > known.offset;
        match excerpt.publications.iter().find(is_new) {
            None if is_same_epoch => {}
            Some(first) if self.continues(first) => {
                for publication in excerpt.publications.iter().filter(is_new) {
                    self.handle_continuation(now, publication);
                }
            }
            None | Some(_) => {
                self.replace(now, excerpt);
                return CopyState::Settled;
            }
        }
        self.prepend(now, excerpt);
        CopyState::Settled
    }

    /// Returns whether the copy's latest publication is the same as the original's at that position, as far as the
    /// excerpt shows.
    pub(super) fn agrees(&self, publications: &[Arc<Publication<P>>]) -> bool {
        let Some(first) = publications.first() else {
            return true;
        };
        let Some(latest) = self.latest(&first.topic) else {
            return true;
        };
        let same = publications
            .iter()
            .find(|publication| publication.position == latest.position);
        same.is_none_or(|same| same.end == latest.end && same.payload.is_same(&latest.payload))
    }

    /// Copies a topic of which there was no copy, without emitting anything.
    pub(super) fn adopt(&mut self, now: Instant, excerpt: &Excerpt<P>) {
        if excerpt.publications.is_empty() {
            self.remember_unbegun(now, &excerpt.topic);
        }
        for publication in &excerpt.publications {
            self.copy(now, publication);
        }
    }

    /// Remembers a topic that has no publications.
    pub(super) fn remember_unbegun(&mut self, now: Instant, topic: &Topic) {
        // If there is no room, its publications are handed on without being kept.
        let _ = self
            .topics
            .find_or_await(now, topic, self.subscribers.len());
    }

    /// Returns whether no more topics can be copied.
    pub(super) fn is_full(&self) -> bool {
        self.topics.is_full()
    }

    /// Replaces a copy that can't be continued, and sends all subscribers a reset.
    pub(super) fn replace(&mut self, now: Instant, excerpt: &Excerpt<P>) {
        self.route_gathered();
        let now = self.handle_overdue(now);
        self.forget(&excerpt.topic);
        self.adopt(now, excerpt);
        let mut routes = Vec::new();
        self.router
            .for_each_match(&excerpt.topic, |route| routes.push(route));
        for route in routes {
            for index in self.router.subscribers(route) {
                self.subscribers
                    .reset(now, *index, &excerpt.topic, excerpt.position);
            }
            self.router.wake_all(route);
            self.subscribers.forget_passed(route);
        }
        if let Some(latest) = excerpt.publications.last() {
            self.route(now, latest);
        }
    }

    fn prepend(&mut self, now: Instant, excerpt: &Excerpt<P>) {
        if let Some(index) = self.topics.find(&excerpt.topic) {
            self.topics.prepend(now, index, &excerpt.publications);
        }
    }

    /// Drops the copy of a topic.
    pub(super) fn forget(&mut self, topic: &Topic) {
        if let Some(index) = self.topics.find(topic) {
            self.topics.remove(index);
        }
    }
}

impl<P: Payload> super::topics::Topics<P> {
    /// Appends a publication whose position was assigned elsewhere.
    fn append_next(
        &mut self,
        now: Instant,
        index: u32,
        publication: Arc<Publication<P>>,
        limits: &crate::history::HistoryLimits,
    ) {
        self.change(now, index, limits, |_, history| {
            if history.position().epoch != publication.position.epoch {
                *history = History::new(publication.position.epoch);
            }
            history.append_next(now, publication, limits);
        });
        self.mark_published(index);
    }

    fn prepend(&mut self, now: Instant, index: u32, older: &[Arc<Publication<P>>]) {
        let all = crate::history::HistoryLimits {
            age_max: core::time::Duration::MAX,
            count_max: usize::MAX,
            bytes_max: usize::MAX,
        };
        self.change(now, index, &all, |_, history| history.prepend(now, older));
    }
}
